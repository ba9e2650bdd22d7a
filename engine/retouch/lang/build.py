"""Parse tree to syntax tree, and the few mistakes that the grammar lets through."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from typing import Any

from lark import Token, Tree
from lark.tree import Meta

from retouch.lang import syntax as s
from retouch.lang.diagnostics import Report
from retouch.lang.encodings import HALF_A_PAIR, is_text
from retouch.lang.tokens import span_of

LIMIT_DIGITS = 40


def at(meta: Meta) -> s.Span:
    """Return the place of a rule."""
    return s.Span(meta.start_pos, meta.end_pos)


class TreeBuilder:
    """One method for each rule of the grammar, in the grammar's order."""

    def __init__(self, text: str, report: Report):
        self.text, self.report = text, report

    def build(self, tree: Tree[Token]) -> Any:
        """Make the node of a rule from its parts' nodes."""
        kids = [self.build(kid) if isinstance(kid, Tree) else kid for kid in tree.children]
        return getattr(self, tree.data)(tree.meta, kids)

    def start(self, meta, kids):
        return tuple(kids)

    def version(self, meta, kids):
        return s.Version(self.number(meta, kids), span=at(meta))

    def use(self, meta, kids):
        path, alias = kids
        return s.Use(path, alias and self.word(alias), span=at(meta))

    def let(self, meta, kids):
        names, value = kids
        return s.Let(names if isinstance(names, tuple) else (self.word(names),), value, span=at(meta))

    def targets(self, meta, kids):
        return tuple(map(self.word, kids))

    def definition(self, meta, kids):
        name, params, body = kids
        return s.Def(self.word(name), params or (), body, span=at(meta))

    def params(self, meta, kids):
        return tuple(kids)

    def param(self, meta, kids):
        name, default = kids
        return s.Param(self.word(name), default, span=at(meta))

    def defaults(self, meta, kids):
        return s.DefaultsSyntax(tuple(kids), span=at(meta))

    def seed(self, meta, kids):
        """`seed 7` is `defaults seed=7`."""
        name = s.Word("seed", span=s.Span(meta.start_pos, meta.start_pos + len("seed")))
        return s.DefaultsSyntax((s.OptionSyntax(name, kids[0], span=at(meta)),), span=at(meta))

    def binding(self, meta, kids):
        name, flow = kids
        head = flow.parts[0]
        if isinstance(head, s.List) and head.items and not any(isinstance(item, s.Ref) for item in head.items):
            self.report.add("RT115", head.span, name=str(name))
        return s.Binding(self.word(name), flow, span=at(meta))

    def flow(self, meta, kids):
        pairs = enumerate(pairwise(kids), 1)
        breaks = tuple(i for i, (a, b) in pairs if "\n" in self.text[a.span.end : b.span.start])
        return s.FlowSyntax(tuple(kids), span=at(meta), breaks=breaks)

    def plain(self, meta, kids) -> s.Stage | s.Bad:
        family, *rest = kids
        methods = tuple(kid for kid in rest if isinstance(kid, s.Word))
        options = tuple(kid for kid in rest if isinstance(kid, s.OptionSyntax))
        operand = [kid for kid in rest if not isinstance(kid, s.Word | s.OptionSyntax)]
        return self.stage(meta, self.word(family), methods, operand, options)

    def stage(self, meta, family, methods, operand, options):
        """A list of names where the method stands is a list of methods."""
        if not methods and operand and names_only(operand[0]):
            methods = tuple(s.Word(item.name, span=item.span) for item in operand.pop(0).items)
        self.check_operand(operand)
        self.check_joined(operand)
        return s.Stage(family, methods, tuple(operand), tuple(options), span=at(meta))

    def called(self, meta, kids):
        """`tiles (dog) size=64`: what looks like a call and has options behind it works on a flow."""
        name, args, *options = kids
        if len(args or ()) == 1 and isinstance(args[0], s.Ref | s.CallSyntax | s.TurnSyntax | s.GroupSyntax):
            arg = args[0]
            value = arg if isinstance(arg, s.TurnSyntax | s.GroupSyntax) else s.GroupSyntax((arg,), span=arg.span)
            return s.Stage(self.word(name), (), (value,), tuple(options), span=at(meta))
        self.report.add("RT130", options[0].span, name=str(name), option=options[0].name.name)
        return s.Bad(span=at(meta))

    def check_joined(self, changes):
        """`"a" + x` between two texts looks like one text, and would add words at the end: the two are told apart."""
        for before, added in pairwise(changes):
            if isinstance(before, s.Replace | s.Add) and before.weight is None and isinstance(added, s.Add):
                glued = before.span.end == added.span.start
                if glued or added.word.span.start > added.span.start + 1:
                    self.report.add(
                        "RT124", s.Span(added.span.start, added.span.start + 1), mend=self.apart(before, added)
                    )
                    return

    def apart(self, before, added):
        """How two texts are written as one, and how words are added."""
        text = before.target if isinstance(before, s.Replace) else before.word if isinstance(before, s.Add) else before
        one = "write both in one text"
        if isinstance(text, s.Text) and isinstance(added.word, s.Text):
            one = f"write {json.dumps(text.value + added.word.value, ensure_ascii=False)}"
        if before is text:
            return one
        word = self.text[added.word.span.start : added.word.span.end]
        return f"{one}; to add words at the end of the caption, write ' +{word}'"

    def check_operand(self, operand):
        """One lone text, list or flow, or changes side by side; a text beside anything has lost an arrow."""
        lone = next((i for i, item in enumerate(operand) if isinstance(item, s.Text | s.List | s.TurnSyntax)), None)
        if lone is None or len(operand) == 1:
            return
        first, second = operand[lone : lone + 2] if lone + 1 < len(operand) else operand[lone - 1 :]
        if isinstance(first, s.Text) and isinstance(second, s.Add):
            place = s.Span(second.span.start, second.span.start + 1)
            self.report.add("RT124", place, mend=self.apart(first, second))
        elif isinstance(first, s.Text) and isinstance(second, s.Remove):
            self.report.add("RT106", s.Span(second.span.start, second.span.start + 1))
        elif isinstance(first, s.Text) and isinstance(second, s.Text | s.Weigh | s.List):
            self.report.add("RT106", s.Span(first.span.end, second.span.start + 1))
        else:
            self.report.add("RT120", second.span, what="a second operand", before="the first, and a stage has one")

    def method(self, meta, kids):
        return self.word(kids[0])

    def call(self, meta, kids):
        name, args = self.word(kids[0]), kids[1] or []
        plain = tuple(arg for arg in args if not isinstance(arg, s.OptionSyntax))
        named = tuple(arg for arg in args if isinstance(arg, s.OptionSyntax))
        if plain + named != tuple(args):
            late = next(arg for i, arg in enumerate(args) if i and arg in plain and args[i - 1] in named)
            self.report.add("RT120", late.span, what="a value without a name", before="one with a name")
        return s.CallSyntax(name, plain, named, span=at(meta))

    def args(self, meta, kids):
        return kids

    def option(self, meta, kids) -> Any:
        name, value = kids
        return s.OptionSyntax(self.word(name), value, span=at(meta))

    def replace(self, meta, kids):
        return s.Replace(*kids, span=at(meta))

    def weigh(self, meta, kids):
        return s.Weigh(*kids, span=at(meta))

    def add(self, meta, kids):
        return s.Add(*kids, span=at(meta))

    def remove(self, meta, kids):
        return s.Remove(kids[0], span=at(meta))

    def true(self, meta, kids):
        return s.Bool(True, span=at(meta))

    def false(self, meta, kids):
        return s.Bool(False, span=at(meta))

    def turn(self, meta, kids):
        return s.TurnSyntax(kids[0], span=at(meta), broken="\n" in self.text[meta.start_pos : meta.end_pos])

    def paren(self, meta, kids):
        if len(kids) > 1:
            return s.RowSyntax(tuple(kids), span=at(meta))
        changes = kids[0].changes if isinstance(kids[0], s.GroupSyntax) else tuple(kids)
        return s.GroupSyntax(changes, span=at(meta))

    def member(self, meta, kids):
        self.check_joined(kids)
        return s.GroupSyntax(tuple(kids), span=at(meta)) if len(kids) > 1 else kids[0]

    def items(self, meta, kids):
        broken = "\n" in self.text[meta.start_pos : meta.end_pos]
        return s.List(tuple(kid for kid in kids if kid is not None), span=at(meta), broken=broken)

    def string(self, meta, kids):
        value = json.loads(kids[0])
        if not is_text(value):
            self.report.add("RT103", span_of(kids[0]), what=HALF_A_PAIR, mend="write the character")
            value = ""
        return s.Text(value, span=span_of(kids[0]))

    def number(self, meta, kids):
        raw, span = str(kids[0]), span_of(kids[0])
        if len(raw) > LIMIT_DIGITS:
            self.report.add("RT116", span, raw=raw[:12] + "…", mend=f"at most {LIMIT_DIGITS} digits")
            raw = "0"
        elif math.isinf(float(raw.rstrip("%"))):
            self.report.add("RT116", span, raw=raw, mend="a smaller one")
            raw = "0"
        return s.Number(raw, span=span)

    def reference(self, meta, kids):
        return s.Ref(str(kids[0]), span=span_of(kids[0]))

    def word(self, token: Token) -> s.Word:
        """A name that is no value."""
        return s.Word(str(token), span=span_of(token))


def names_only(value) -> bool:
    """Return whether a value is a list of names."""
    return isinstance(value, s.List) and bool(value.items) and all(isinstance(item, s.Ref) for item in value.items)
