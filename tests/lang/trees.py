"""Syntax trees of the whole grammar, for hypothesis."""

from hypothesis import strategies as st

from retouch.lang import syntax as s
from retouch.lang.words import RESERVED

SURROGATES = ("Cs",)


def lists(items, low: int = 0, high: int = 3):
    """A tuple of things."""
    return st.lists(items, min_size=low, max_size=high).map(tuple)


def maybe(item):
    """A thing or nothing."""
    return st.one_of(st.none(), item)


names = st.from_regex(r"[a-z][a-z0-9_]{0,6}", fullmatch=True).filter(lambda name: name not in RESERVED)
words = names.map(s.Word)
refs = names.map(s.Ref)
dotted = st.builds("{}.{}".format, names, names)
called = st.one_of(words, dotted.map(s.Word))  # methods and defs, which may be a plugin's or a library's
texts = st.text(st.characters(exclude_categories=SURROGATES), max_size=12).map(s.Text)
numbers = st.one_of(
    st.integers(-999, 9999).map(str),
    st.floats(0, 1000, allow_nan=False).map(lambda number: f"{number:.3f}"),
    st.integers(0, 100).map(lambda number: f"{number}%"),
).map(s.Number)
sides = st.one_of(texts, refs)
sides = st.one_of(sides, lists(sides, 1).map(s.List))
changes = st.one_of(
    st.builds(s.Replace, sides, sides, maybe(numbers)),
    st.builds(s.Weigh, sides, numbers),
    st.builds(s.Add, sides, maybe(numbers)),
    st.builds(s.Remove, sides),
)
simple = st.one_of(texts, numbers, st.booleans().map(s.Bool), refs, changes, lists(changes, 1).map(s.GroupSyntax))
# One name alone in brackets stays a name, so the flows here have a stage with more to it, or two stages.
longer = st.builds(s.Stage, words, lists(called, 1, 1), st.just(()), st.just(()))
turns = st.builds(
    lambda parts: s.TurnSyntax(s.FlowSyntax(parts)),
    st.one_of(
        lists(longer, 1, 3),
        st.builds(lambda head, rest: (head, *rest), refs.map(lambda ref: s.List((ref,))), lists(words.map(s.Stage), 1)),
    ),
)
values = st.recursive(
    st.one_of(simple, turns),
    lambda inner: st.one_of(
        lists(inner).map(s.List),
        lists(inner, 2).map(s.RowSyntax),
        st.builds(s.CallSyntax, called, lists(inner), st.just(())),
    ),
    max_leaves=6,
)
options = st.builds(s.OptionSyntax, words, values)
operands = st.one_of(
    st.just(()),
    texts.map(lambda text: (text,)),
    lists(texts, 1).map(lambda items: (s.List(items),)),
    lists(changes, 1),
    turns.map(lambda turn: (turn,)),
)
stages = st.builds(s.Stage, words, lists(called), operands, lists(options))
calls = st.builds(s.CallSyntax, called, lists(values), lists(options, 0, 2))
seeds = st.builds(s.OptionSyntax, st.just(s.Word("seed")), st.one_of(numbers, refs, lists(numbers, 1).map(s.List)))
heads = st.one_of(stages, calls, lists(refs, 1).map(s.List))
flows = st.builds(lambda head, rest: s.FlowSyntax((head, *rest)), heads, lists(st.one_of(stages, calls), 0, 4))
statements = st.one_of(
    st.builds(s.Use, texts, maybe(words)),
    st.builds(s.Let, st.one_of(lists(words, 1, 1), lists(words, 2)), values),
    st.builds(s.Def, words, lists(st.builds(s.Param, words, maybe(values))), flows),
    lists(options, 1).map(s.DefaultsSyntax),
    seeds.map(lambda option: s.DefaultsSyntax((option,))),
    st.builds(s.Binding, words, flows),
    flows,
)
recipes = lists(statements, 0, 5).map(s.RecipeSyntax)
