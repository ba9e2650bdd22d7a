"""The one layout of a recipe: comments, the writer's line breaks, and at most one blank line at a time are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from retouch.lang import syntax as s
from retouch.lang.snippet import normal
from retouch.lang.unparse import joined, spell

WIDTH = 100
INDENT = "  "


def format_recipe(recipe: s.RecipeSyntax, text: str = "") -> str:
    """Return the recipe laid out; `text` is what it was read from, for its blank lines and its comments."""
    return LineLayout(recipe, normal(text)).run()


class LineLayout:
    """The lines that are laid out, and the comments that wait for their place among them."""

    def __init__(self, recipe: s.RecipeSyntax, text: str):
        self.recipe, self.text = recipe, text
        self.comments = list(recipe.comments)
        self.lines: list[str] = []

    def run(self) -> str:
        """Lay out every statement with the comments before, inside and behind it."""
        end = 0
        for statement in self.recipe.statements:
            end = self.comments_before(statement.span.start, end)
            self.blank_line(end, statement.span.start)
            self.statement(statement)
            end = statement.span.end
        self.comments_before(len(self.text) + 1, end)
        return "".join(f"{line}\n" for line in self.lines)

    # Comments and blank lines

    def comments_before(self, place: int, end: int) -> int:
        """Give comments that stand between two statements lines of their own; return where the last one ends."""
        while self.comments and self.comments[0].span.start < place:
            comment = self.comments.pop(0)
            self.blank_line(end, comment.span.start)
            self.lines.append(tidy(comment.text))
            end = comment.span.end
        return end

    def comments_inside(self, place: int, indent: str = "") -> None:
        """Give comments that stand inside a statement, before a place, lines of their own."""
        while self.comments and self.comments[0].span.start < place:
            self.lines.append(indent + tidy(self.comments.pop(0).text))

    def comment_behind(self, end: int) -> None:
        """Keep the next comment behind the last line if it stood on the line that ends here."""
        if self.comments and self.comments[0].span.start >= end:
            start = self.comments[0].span.start
            if "\n" not in self.text[end:start]:
                self.lines[-1] += "  " + tidy(self.comments.pop(0).text)

    def blank_line(self, end: int, start: int) -> None:
        """One empty line where the writer left any."""
        if self.lines and self.text.count("\n", end, start) > 1:
            self.lines.append("")

    def has_comment(self, start: int, end: int) -> bool:
        """Return whether a comment waits that stands between two places."""
        return any(start <= comment.span.start < end for comment in self.comments)

    # Statements

    def statement(self, node: s.Statement) -> None:
        """Lay out one statement."""
        match node:
            case s.Version(number=number):
                self.line(f"retouch {number.raw}", node)
            case s.Use(path=path, alias=alias):
                self.line(f"use {spell(path)}" + (f" as {alias.name}" if alias else ""), node)
            case s.Let(names=names, value=value):
                left = names[0].name if len(names) == 1 else f"({joined(names)})"
                self.value(f"let {left} = ", value, node)
            case s.DefaultsSyntax(
                options=(s.OptionSyntax(name=s.Word("seed"), value=s.Number() | s.Ref() | s.List() as value),)
            ):
                self.line(f"seed {spell(value)}", node)
            case s.DefaultsSyntax(options=options):
                self.line(f"defaults {joined(options, ' ')}", node)
            case s.Def(name=name, params=params, body=body):
                self.flow(f"def {name.name}({joined(params)}) = ", body)
            case s.Binding(name=name, flow=flow):
                self.flow(f"{name.name} = ", flow)
            case s.FlowSyntax():
                self.flow("", node)
            case s.Broken():
                spell(node)

    def line(self, text: str, node: s.SyntaxNode) -> None:
        """One line for a whole node."""
        self.comments_inside(node.span.end)
        self.lines.append(text)
        self.comment_behind(node.span.end)

    def value(self, lead: str, value: s.Value, node: s.Let) -> None:
        """A list goes over several lines if it did, or must."""
        whole = lead + spell(value)
        must = len(whole) > WIDTH or self.has_comment(value.span.start, value.span.end)
        if not (isinstance(value, s.List) and value.items and (value.broken or must)):
            self.line(whole, node)
            return
        self.comments_inside(value.span.start)
        self.lines.append(f"{lead}[")
        if self.has_comment(value.span.start, value.items[0].span.start):
            self.comment_behind(value.span.start)
        for item in value.items:
            self.comments_inside(item.span.end, INDENT)
            self.lines.append(f"{INDENT}{spell(item)},")
            self.comment_behind(self.behind_comma(item.span.end, value.span.end))
        self.comments_inside(value.span.end, INDENT)
        self.lines.append("]")
        self.comment_behind(node.span.end)

    def behind_comma(self, end: int, limit: int) -> int:
        """Return where an item of a list ends with its comma, if that follows on the same line."""
        rest = self.text[end:limit]
        gap = len(rest) - len(rest.lstrip(" \t"))
        return end + gap + 1 if rest[gap : gap + 1] == "," else end

    def flow(self, lead: str, body: s.FlowSyntax) -> None:
        """The writer's line breaks are kept; if a line is too long, every stage gets its own."""
        parts = [spell(part) for part in body.parts]
        rows = list(pairwise([0, *self.breaks(body), len(parts)]))
        alone = [(i, i + 1) for i in range(len(parts))]
        blocks = {i for i in range(len(parts)) if self.is_block(body.parts[i], row_text(lead, parts, i, i + 1))}
        if blocks or any(len(row_text(lead, parts, *row)) > WIDTH for row in rows):
            rows = alone
        for start, end in rows:
            if start in blocks:
                self.comments_inside(body.parts[start].span.start, INDENT if start else "")
                self.block(f"{INDENT}| " if start else lead, body.parts[start], INDENT if start else "")
                continue
            self.comments_inside(body.parts[end - 1].span.end, INDENT if start else "")
            self.lines.append(row_text(lead, parts, start, end))
            if end not in blocks or self.has_comment(body.parts[start].span.start, body.parts[end].span.start):
                self.comment_behind(body.parts[end - 1].span.end)

    def is_block(self, part: s.SyntaxNode, line: str) -> bool:
        """Return whether a flow in the brackets of a stage goes over several lines: it did, or must."""
        given = (value.value if isinstance(value, s.OptionSyntax) else value for value in values_of(part))
        turns = [value for value in given if isinstance(value, s.TurnSyntax)]
        return bool(turns) and (
            len(line) > WIDTH
            or any(turn.broken or self.has_comment(turn.span.start, turn.span.end) for turn in turns)
            or any(self.is_block(inner, "") for turn in turns for inner in turn.flow.parts)
        )

    def block(self, lead: str, part: s.SyntaxNode, indent: str) -> None:
        """A stage whose flows in brackets have a line for each of their stages."""
        line, inner = lead, indent + 2 * INDENT
        for value in values_of(part):
            name = value.name.name + "=" if isinstance(value, s.OptionSyntax) else ""
            turn = value.value if isinstance(value, s.OptionSyntax) else value
            gap = "" if line in (lead, "") else " "
            if not isinstance(turn, s.TurnSyntax):
                line += gap + spell(value)
                continue
            self.lines.append(f"{line}{gap}{name}(")
            self.comment_behind(turn.span.start)
            for i, each in enumerate(turn.flow.parts):
                before = f"{inner}| " if i else inner
                if self.is_block(each, before + spell(each)):
                    self.comments_inside(each.span.start, inner)
                    self.block(before, each, inner)
                else:
                    self.comments_inside(each.span.end, inner)
                    self.lines.append(before + spell(each))
                    self.comment_behind(each.span.end)
            self.comments_inside(turn.span.end, inner)
            line = f"{indent}{INDENT})"
        self.lines.append(line)
        self.comment_behind(part.span.end)

    def breaks(self, body: s.FlowSyntax) -> list[int]:
        """Return the stages that begin a line: those that did, and those with a comment before them."""
        commented = {
            i for i, (a, b) in enumerate(pairwise(body.parts), 1) if self.has_comment(a.span.end, b.span.start)
        }
        return sorted(commented.union(body.breaks))


def values_of(part: s.SyntaxNode) -> Iterator[s.SyntaxNode]:
    """Return what a stage is written of, in its order: each flow in brackets, and each option, by itself."""
    if isinstance(part, s.Stage):
        yield replace(part, operand=(), options=())
        yield from part.operand
        yield from part.options


def row_text(lead: str, parts: list[str], start: int, end: int) -> str:
    """One line of a flow."""
    return (f"{INDENT}| " if start else lead) + " | ".join(parts[start:end])


def tidy(comment: str) -> str:
    """Put one space behind a comment's '#'."""
    body = comment[1:]
    return "#" + (body if not body or body[0] in " #!" else " " + body)
