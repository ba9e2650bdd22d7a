"""Bytes that were meant as text: how they are encoded, how they read, and how they become UTF-8."""

from __future__ import annotations

import codecs

_MARKS = (  # the longer first, since UTF-32's begins as UTF-16's does
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_LOOKED_AT = 4096  # bytes of a text without a mark; a multiple of four
_WESTERN = "windows-1252"  # what editors mean by "ANSI"; the letters of Latin-1 are the same in it
_TEXT_CONTROLS = b"\t\n\f\r"
HALF_A_PAIR = "half of a pair of characters"  # what a text of Python may hold, and no file


def marked(data: bytes) -> tuple[str, int] | None:
    """Return the encoding that a byte order mark names and the mark's length, if there is one."""
    return next(((name, len(mark)) for mark, name in _MARKS if data.startswith(mark)), None)


def is_text(text: str) -> bool:
    """Whether it can be written as UTF-8: halves of pairs of characters, which a script may hold, cannot."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def readable(data: bytes) -> str:
    """Return the text as its writer saw it, for showing places in it; empty if the bytes are no text."""
    encoding, mark = _likely(data), marked(data)
    return data[mark[1] if mark else 0 :].decode(encoding, "replace") if encoding else ""


def not_utf8(data: bytes) -> tuple[str, str, int] | None:
    """Say why bytes are no text in UTF-8, what to do, and at which place of `readable`; None if they are."""
    encoding, mark = _likely(data), marked(data)
    wrong = zero = data.find(0)
    if zero < 0:
        try:
            data.decode("utf-8")
            return None
        except UnicodeDecodeError as error:
            wrong = error.start
    if encoding is None or encoding == "utf-8":
        what = f"byte {wrong} is {'zero, as in pictures' if wrong == zero else 'no part of a character'}"
        return what, "save it as UTF-8 text", len(readable(data[:wrong])) if encoding else 0
    if encoding == _WESTERN:
        letter = data[wrong : wrong + 1].decode(_WESTERN)
        return f"byte {wrong} is '{letter}' as in Windows-1252 or Latin-1", _converted("CP1252"), wrong
    # Programs that convert look for the mark themselves where they are told no order of bytes.
    what = encoding[:6].upper() if mark else encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    return f"it is {what}{'' if mark else ' without a mark'}", _converted(what), 0


def _converted(encoding: str) -> str:
    return f"save it as UTF-8, in an editor or by: iconv -f {encoding} -t UTF-8 OLD > NEW"


def _likely(data: bytes) -> str | None:
    """The encoding that bytes are most likely in; None if they are no text."""
    if mark := marked(data):
        return mark[0]
    if wide := _wide(data[:_LOOKED_AT]):
        return wide
    text = data.decode("utf-8", "replace")
    broken = text.count("\ufffd") - data.count("\ufffd".encode())
    if broken and any(byte < 32 and byte not in _TEXT_CONTROLS for byte in data[:_LOOKED_AT]):
        return None  # pictures and archives have such bytes, no text has
    if not broken or sum(char > "\x7f" for char in text) >= 2 * broken:
        return "utf-8"  # perhaps damaged: most of what is not ASCII can be read
    return _WESTERN if "\ufffd" not in data.decode(_WESTERN, "replace") else "utf-8"


def _wide(head: bytes) -> str | None:
    """UTF-16 or UTF-32 of a text that is mostly ASCII, as signs and most letters of a recipe are."""
    # These encodings make zeros of ASCII, at the same places of each four bytes; in pictures zeros stand anywhere.
    zeros, fours = [head[place::4].count(0) for place in range(4)], len(head) // 4
    for encoding, last in (("utf-32-le", zeros), ("utf-32-be", zeros[::-1])):
        if fours and last[0] == 0 and min(last[2:]) >= fours and last[1] * 2 >= fours:
            return encoding
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    if min(even, odd) == 0 and max(even, odd) >= max(1, fours):
        return "utf-16-le" if odd else "utf-16-be"
    return None
