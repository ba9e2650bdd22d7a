"""What was lost where the text is grammatical all the same: a '|' behind a flow's name, the left side of an edit."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from dataclasses import replace

from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.lang.words import FAMILIES, OTHERS

# A comment that is a colour, and behind which a recipe goes on or a line ends.
COLOUR = re.compile(r"[ \t]+(#[0-9a-fA-F]{6})(?=[ \t]*(?:$|\n|\||[a-z_]+=))")


def check_missing_parts(text: str, statements: tuple[s.Statement, ...], report: Report) -> tuple[s.Statement, ...]:
    """Return the statements, with Bad for each stage of which a part is missing."""
    flows = {statement.name.name for statement in statements if isinstance(statement, s.Binding)}
    values = flows | set(_values(statements))
    return tuple(_Lost(text, flows, values, report).statement(statement) for statement in statements)


def _values(statements: tuple[s.Statement, ...]) -> Iterator[str]:
    for statement in statements:
        if isinstance(statement, s.Let):
            yield from (name.name for name in statement.names)
        elif isinstance(statement, s.Def):
            yield from (param.name.name for param in statement.params)
        elif isinstance(statement, s.Broken):
            yield from statement.names


class _Lost:
    def __init__(self, text: str, flows: Set[str], values: Set[str], report: Report):
        self.text, self.flows, self.values, self.report = text, flows, values, report
        self.families = {*FAMILIES, *OTHERS} - values

    def statement(self, node: s.Statement) -> s.Statement:
        match node:
            case s.FlowSyntax():
                return self.flow(node)
            case s.Binding(flow=flow):
                return replace(node, flow=self.flow(flow))
            case s.Def(body=body):
                return replace(node, body=self.flow(body))
        return node

    def flow(self, flow: s.FlowSyntax) -> s.FlowSyntax:
        parts = tuple(s.Bad(span=part.span) if self.lost(part) else part for part in flow.parts)
        return replace(flow, parts=parts)

    def lost(self, part: s.SyntaxNode) -> bool:
        """Report the first thing that a stage lost, if any."""
        match part:
            case s.Stage(family=family, methods=(first, *_)) if (
                family.name in self.flows and first.name in self.families
            ):
                self.report.add("RT104", first.span, word=first.name)  # photo invert ddim
            case s.Stage(methods=(), operand=(s.Replace(source=source) as change, *_)) if self.is_method(source):
                self.report.add("RT107", self.arrow(change), side="what is there now", mend='"cat"->"dog"')
            case s.CallSyntax(name=name, named=named) if name.name in FAMILIES:
                mend = " ".join([name.name, *(f"{option.name.name}=…" for option in named)])
                self.report.add("RT109", name.span, mend=f"{mend}, without ( )")
            case s.Stage(operand=(), options=()) if colour := COLOUR.match(self.text, part.span.end):
                place = s.Span(colour.start(1), colour.end(1))
                mend = f'if it is a colour, put it in quotes: "{colour[1]}"; what stands behind a bare # is a comment'
                self.report.add("RT110", place, what=f"'{colour[1]}'", mend=mend)
            case _:
                return self.pipe(part)
        return True

    def is_method(self, source: s.Value) -> bool:
        """Whether what reads as the left side of `attend p2p ->"dog"` is the method, as the space behind it shows."""
        names = source.items if isinstance(source, s.List) else (source,)
        unknown = all(isinstance(name, s.Ref) and name.name not in self.values for name in names)
        return unknown and self.text[source.span.end].isspace()

    def pipe(self, part: s.SyntaxNode) -> bool:
        """Report an arrow before the name of a family, which stands for a '|'."""
        for node in s.walk(part):
            match node:
                case s.Replace(target=s.Ref(name=name)) if name in self.families:
                    self.report.add("RT104", self.arrow(node), word=name)
                    return True
        return False

    def arrow(self, change: s.Replace) -> s.Span:
        """Return where the arrow of a change stands."""
        gap = self.text[change.source.span.end : change.target.span.start]
        start = change.source.span.end + len(gap) - len(gap.lstrip())
        return s.Span(start, start + len(gap.strip()))
