"""The builder for wrong recipes: knows what each rule of mistakes.lark stands for, and reports it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Set
from itertools import pairwise
from typing import Any, NamedTuple

from lark import Token

from retouch.lang import syntax as s
from retouch.lang.build import TreeBuilder, at
from retouch.lang.diagnostics import Report
from retouch.lang.source import invisible
from retouch.lang.tokens import span_of
from retouch.lang.words import FAMILIES, OTHERS

BAD_IN_TEXT = re.compile(r'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4}).|[\x00-\x1f\x7f]')
# A line on which a quote closes a text where none should close, or is missing before one.
ODD_QUOTE = re.compile(r'[A-Za-z0-9_]"\s*(?:->|→)|(?:->|→)\s*[A-Za-z]\w*"')
AS_TEXT = "if it is text, put it in quotes: "
BECOMES = ("to", "into", "as", "by", "with")  # what people write for '->'
WORKS_ON_A_FILE = ("open", "save", "sheet", "measure", "file")  # families and methods
MEND_STRAY = {
    "$": "a name is written without '$'",
    ";": "each statement has its own line; '|' joins stages",
    "&": "write several changes side by side",
    "{": "a list is written [ ], a name without brackets",
    "}": "a list is written [ ], a name without brackets",
}


IN_BRACKETS = s.GroupSyntax | s.RowSyntax | s.TurnSyntax


class Bare(NamedTuple):
    """A word in a stage that is not followed by '='."""

    token: Token


class TolerantBuilder(TreeBuilder):
    """Builds what was meant; `made` are the names that the recipe makes."""

    def __init__(self, text: str, report: Report, made: frozenset[str]):
        super().__init__(text, report)
        self.made = made
        self.families = frozenset(FAMILIES) | (frozenset(OTHERS) - made)

    # Stages

    def bare(self, meta, kids):
        return Bare(kids[0])

    def bad(self, meta, kids):
        if kids[0].type == "STRAY":
            what, mend = stray(kids[0])
            self.report.add("RT118", span_of(kids[0]), what=what, mend=mend)
        return s.Bad(span=span_of(kids[0]))

    def plain(self, meta, kids):
        family, items = self.word(kids[0]), kids[1:]
        methods, operand, options = (), [], []
        if "." in family.name:
            family, methods = self.undotted(family)
        self.lost_before_brackets(items)
        if items and isinstance(items[0], Bare) and not methods:
            methods = (self.word(items.pop(0).token),)
        for i, item in enumerate(items):
            if isinstance(item, Bare):
                if isinstance(next(iter(items[i + 1 :]), None), IN_BRACKETS):
                    return s.Bad(span=at(meta))  # reported with its brackets
                self.stray_word(item.token, items[i - 1] if i else None, items[i:], (family, *methods))
                if item.token in self.families:
                    return s.Bad(span=at(meta))
                break
            if isinstance(item, s.OptionSyntax):
                options.append(item)
            elif isinstance(item, s.Number | s.Bool):
                what = self.text[item.span.start : item.span.end]
                self.report.add("RT113", item.span, what=what, stage=" ".join(word.name for word in (family, *methods)))
            else:
                if options and isinstance(item, s.Add) and isinstance(options[-1].value, s.Text | s.Replace | s.Add):
                    place = s.Span(item.span.start, item.span.start + 1)
                    self.report.add("RT124", place, mend=self.apart(options[-1].value, item))
                elif options:
                    self.report.add("RT120", item.span, what="what the stage works on", before="its options")
                operand.append(item)
        return self.stage(meta, family, methods, operand, options)

    def lost_before_brackets(self, items: list) -> None:
        """A word right before brackets is a def whose '|' is lost, and further behind the method an option."""
        for i, (word, value) in enumerate(pairwise(items)):
            if not (isinstance(word, Bare) and isinstance(value, IN_BRACKETS)):
                continue
            place = span_of(word.token)
            if place.end == value.span.start and not isinstance(value, s.TurnSyntax):
                self.report.add("RT104", place, word=str(word.token))
            elif i:
                self.report.add("RT109", place, mend=f"{word.token}=(…)")

    def undotted(self, word: s.Word) -> tuple[s.Word, tuple[s.Word, ...]]:
        """`invert.ddim`: the dot parts a plugin's name from its method, not a method from its family."""
        family, method = word.name.split(".")
        mend = f"write {family} {method}" if family in FAMILIES else f"a def is called with ( ): {word.name}(…)"
        self.report.add("RT201", word.span, name=word.name, mend=mend)
        place = word.span.start + len(family)
        return (
            s.Word(family, span=s.Span(word.span.start, place)),
            (s.Word(method, span=s.Span(place + 1, word.span.end)),),
        )

    def stray_word(self, token: Token, before: s.SyntaxNode | None, rest: list, stage: tuple[s.Word, ...]) -> None:
        """A word in a stage that is no method: an option without '=', a stage without '|', or text without quotes."""
        words, methods = unquoted(rest, self.families), stage[1:]
        sides = [*token.split("-"), *map(str, words[1:2])][:2]
        if isinstance(before, s.Text) and token in self.made:
            self.report.add("RT106", s.Span(before.span.end, span_of(token).start + 1))
        elif isinstance(before, s.Text) and token in BECOMES and isinstance(next(iter(rest[1:]), None), s.Text):
            self.report.add("RT106", span_of(token))
        elif len(set(sides)) == 2 and self.made.issuperset(sides):
            self.report.add("RT106", s.Span(span_of(token).start + len(sides[0]), span_of(words[-1]).end))
        elif len(words) > 1 and str(words[1]) in self.made:
            self.report.add("RT109", span_of(token), mend=f"{token}={words[1]}")
        elif token in self.families:
            self.report.add("RT104", span_of(token), word=str(token))
        elif before is None and methods and methods[0].name in self.families:
            self.report.add("RT104", methods[0].span, word=methods[0].name)
        else:
            value = before.value if isinstance(before, s.OptionSyntax) else None
            lost = isinstance(value, s.Ref) and value.name not in self.made
            start = value.span.start if value and lost else span_of(token).start
            end = span_of(words[-1]).end
            text = self.text[start:end]
            if isinstance(given := next(iter(rest[1:]), None), s.Number | s.Bool) and not lost:
                value_text = self.text[given.span.start : given.span.end]
                mend = f"an option is written {token}={value_text}"
                self.report.add("RT110", s.Span(start, end), what=f"'{text}'", mend=mend)
                return
            mend = AS_TEXT + (quoted(text) if lost else f"{quoted(text)}; an option is written {token}=value")
            if not lost and (edit := re.fullmatch(r"(.+?) (?:in)?to (.+)", text)):
                mend = AS_TEXT + f"{quoted(edit[1])}->{quoted(edit[2])}"
            if token in self.made and text == token:
                option = "path" if any(word.name in WORKS_ON_A_FILE for word in stage) else "edit"
                mend = f"a name is given to an option: {option}={token}"
            self.report.add("RT110", s.Span(start, end), what=f"'{text}'", mend=mend)

    def option(self, meta, kids) -> Any:
        name, *slip, value = kids
        if slip and isinstance(value, s.Ref) and value.name != name and self.made.issuperset((name, value.name)):
            self.report.add("RT106", span_of(slip[0]))
            return s.Replace(s.Ref(str(name), span=span_of(name)), value, span=at(meta))
        if slip:
            mend = f"{name}={self.text[value.span.start : value.span.end]}"
            self.report.add("RT109", span_of(slip[0]), mend=mend)
        return super().option(meta, [name, value])

    def unlet(self, meta, kids):
        name, value = kids
        self.report.add("RT115", value.span, name=str(name))
        return s.Let((self.word(name),), value, span=at(meta))

    def word(self, token: Token) -> s.Word:
        if token.type == "HYPHENS":
            self.report.add("RT117", span_of(token), mend=token.replace("-", "_"))
        return s.Word(token.replace("-", "_"), span=span_of(token))

    # Edits

    def replace(self, meta, kids):
        if isinstance(kids[1], Token):
            self.report.add("RT106", span_of(kids[1]))
            kids = [kids[0], *kids[2:]]
        between = s.Span(kids[0].span.end, kids[1].span.start)
        if (sign := self.text[between.start : between.end]).strip() == "=":
            place = between.start + sign.index("=")
            self.report.add("RT106", s.Span(place, place + 1))
        return super().replace(meta, kids)

    def remove(self, meta, kids):
        """-"a"*2 is grammar only so that an arrow that lost its point is seen, as in "b"-"a"*2."""
        if len(kids) > 1 and not self.text[: meta.start_pos].rstrip().endswith('"'):
            self.report.add("RT107", at(meta), side="a single text to remove", mend='-"hat"')
        return super().remove(meta, kids)

    # Values

    def string(self, meta, kids):
        token, span, raw = kids[0], span_of(kids[0]), str(kids[0])
        match token.type:
            case "STRING":
                return super().string(meta, kids)
            case "BADSTRING":
                self.bad_text(raw, span)
                return s.Text(raw[1:-1], span=span)
            case "OPENSTRING":
                self.report.add("RT101", self.open_quote(span), which="closing", mend=raw.rstrip() + '"')
                return s.Text(raw[1:], span=span)
            case "DOUBLED":
                self.report.add("RT102", span, mend=raw[1:-1])
                return s.Text(raw[2:-2], span=span)
            case "PATH" | "UNQUOTED":
                self.report.add("RT110", span, what=f"'{raw}'", mend=AS_TEXT + quoted(raw.replace("\\", "/")))
                return s.Text(raw, span=span)
        inner = raw.strip("“”„«»‘’'`\"")
        self.report.add("RT102", span, mend=quoted(inner))
        return s.Text(inner, span=span)

    def bad_text(self, raw: str, span: s.Span) -> None:
        """A text with an escape or a character that it may not have."""
        found = BAD_IN_TEXT.search(raw)
        assert found, raw
        escape = found[0].startswith("\\")
        what = f"'{found[0]}'" if escape else "a tab" if found[0] == "\t" else "a control character"
        mend = (
            "write a path with '/', and a backslash as '\\\\'"
            if escape
            else "write \\t"
            if "tab" in what
            else "delete it"
        )
        self.report.add("RT103", s.Span(span.start + found.start(), span.start + found.end()), what=what, mend=mend)

    def open_quote(self, span: s.Span) -> s.Span:
        """Return where a line with an odd number of quotes began to go wrong: not always at its last quote."""
        line = self.text.rfind("\n", 0, span.start) + 1
        odd = ODD_QUOTE.search(self.text, line, span.start)
        return s.Span(*odd.span()) if odd else span

    def number(self, meta, kids):
        if kids[0].type in ("BADNUMBER", "FRACTION") and len(kids[0]) <= 40:
            mend = mend_number(str(kids[0]))
            self.report.add("RT116", span_of(kids[0]), raw=str(kids[0]), mend=mend)
            meant = re.match(r"-?\d+(\.\d+)?%?(?= |$)", mend)  # so that no other is found wrong for it
            return s.Number(meant[0] if meant else "0", span=span_of(kids[0]))
        return super().number(meta, kids)


def unquoted(rest: list, families: Set[str]) -> list[Token]:
    """Return the bare words from here on that are no families."""
    words = []
    for item in rest:
        if not isinstance(item, Bare) or (words and item.token in families):
            break
        words.append(item.token)
    return words


def quoted(text: str) -> str:
    """Return a text as the recipe writes it."""
    return json.dumps(text, ensure_ascii=False)


def mend_number(raw: str) -> str:
    """How a number is written that has a bare point, a sign, a separator, or a unit."""
    if (found := re.fullmatch(r"(\d+) ?/ ?(\d+)", raw)) and int(found[2]):
        return f"{int(found[1]) / int(found[2]):.6g}"
    if found := re.fullmatch(r"(-?)\.(\d+)(%?)", raw):
        return f"{found[1]}0.{found[2]}{found[3]}"
    if found := re.fullmatch(r"([-+]?)(\d[\d_]*)\.?", raw):
        return found[1].replace("+", "") + (found[2].replace("_", "").lstrip("0") or "0")
    if found := re.fullmatch(r"(-?\d+(?:\.\d+)?)[A-Za-z]+", raw):
        return f"{found[1]} (the option's name says the unit)"
    return "a number such as 7.5 or 40%"


def stray(char: str) -> tuple[str, str]:
    """Describe a character that has no meaning, and how to mend it."""
    if not char.isprintable():
        return invisible(char)
    if char.isdecimal():  # of another script, or as wide as its letters
        return f"'{char}'", f"write {unicodedata.decimal(char)}"
    return f"'{char}'", MEND_STRAY.get(char, "text belongs in quotes" if ord(char) > 127 else "delete it")
