"""What is wrong, where, and what to type instead: as data, as text with a caret, as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from retouch.lang.codes import CODES
from retouch.lang.snippet import LONG, NARROW, SourceText
from retouch.lang.syntax import Span

Note = tuple[str, Span | None]


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding. Its span counts characters of the normalised text of `source`, or of the recipe itself.

    about: the paths of the pictures that it concerns, if it concerns only some of many.
    """

    code: str
    message: str
    span: Span
    label: str = ""
    help: str = ""
    notes: tuple[Note, ...] = ()
    severity: str = "error"
    source: str | None = None
    about: tuple[str, ...] = ()

    def render(
        self, text: str, name: str | None = None, spelt: Callable[[str], str] = str, width: int | None = None
    ) -> str:
        """Return the finding as people read it, with the line it is about.

        spelt: how that is written where it is shown, for the room that characters take which are spelt out there.
        width: of the terminal, in characters; None where lines may be of any length.
        """
        page = self._page(text, name)
        edge = page.gutter(self.span)
        room = 2 * LONG if width is None else min(2 * LONG, max(NARROW, width - len(edge) - 3))
        lines = [
            f"{self.severity}[{self.code}]: {self.message}".replace("\n", "\\n"),
            *page.frame(self.span, self.label, spelt, room),
        ]
        if self.help:
            lines.append(f"{edge} = help: {self.help}")
        for message, span in self.notes:
            lines.append(f"{edge} = note: {message}")
            if span:
                lines += page.frame(span, spelt=spelt, room=room)[1:]
        if self.about and not (self.source and self.about[0].endswith(self.source)):  # else the place says it
            name, more = self.about[0].replace("\n", "\\n"), len(self.about) - 1
            lines.append(f"{edge} = note: this is about '{name}'{f' and {more} more' if more else ''}")
        return "\n".join(lines)

    def _page(self, text: str, name: str | None = None) -> SourceText:
        file = self.span.file
        return SourceText(file.text, file.name) if file else SourceText(text, name or self.source or "recipe")

    def as_json(self, text: str) -> dict[str, Any]:
        """Return the finding as editors read it; lines and columns count from 1, columns in characters."""
        page = self._page(text)
        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "label": self.label,
            "help": self.help,
            "notes": [{"message": message, **(page.place(span) if span else {})} for message, span in self.notes],
            "source": self.source or (self.span.file.name if self.span.file else None),
            "pictures": list(self.about),
            **page.place(self.span),
        }


class Report:
    """The findings of one check, each once: of the recipe, and of each picture beside."""

    def __init__(self) -> None:
        self.items: list[Diagnostic] = []
        self.wrong = 0  # number of errors reported, repeats included
        self.seen: set[Diagnostic] = set()
        self.picture: str | None = None  # the path of the one that is looked at; None while it is the recipe
        self.own: list[Diagnostic] = []  # findings made while a picture was looked at, about that one

    @contextmanager
    def looking_at(self, picture: str | None) -> Iterator[None]:
        """While this lasts, findings are about this picture, or again about the recipe."""
        before, self.picture = self.picture, picture
        try:
            yield
        finally:
            self.picture = before

    def add(
        self,
        code: str,
        span: Span,
        *,
        label: str = "",
        notes: tuple[Note, ...] = (),
        source: str | None = None,
        **facts: Any,
    ) -> None:
        """Report a code of the table at a place; the facts fill its message and its help."""
        row = CODES[code]
        self.wrong += row.severity == "error"
        try:
            message, mend = row.message.format_map(facts), row.help.format_map(facts)
        except KeyError as error:
            raise TypeError(f"{code} '{row.name}' needs the fact {error}") from None
        about = (self.picture,) if self.picture else ()
        found = Diagnostic(code, message, span, label, mend, tuple(notes), row.severity, source, about)
        # A list at one place goes through many values: what is the same of all is one finding, each other one its own.
        if found in self.seen:
            return
        self.seen.add(found)
        (self.own if about else self.items).append(found)

    def sorted(self) -> list[Diagnostic]:
        """Return all findings in the order of the text, those of the recipe itself first."""
        return sorted(self.items, key=lambda item: (item.source or "", item.span.start, item.code))

    def errors(self) -> list[Diagnostic]:
        """Return the findings that forbid a run, in the order of the text."""
        return [item for item in self.sorted() if item.severity == "error"]
