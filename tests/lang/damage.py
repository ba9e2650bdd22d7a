"""What people do to recipes by mistake: places in a right recipe, and ways to spoil each."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from retouch.lang import syntax as s
from retouch.lang.words import FAMILIES

Spoilt = tuple[str, int, int]  # the wrong text, and where in it the first error should begin
SIDE_AFTER = re.compile(r'"[^"]*"|\w+|\[[^\]]*\]')
SIDE_BEFORE = re.compile(r'("[^"]*"|\w+)$')


@dataclass(frozen=True)
class Damage:
    """One slip: where it can happen, what it does, and the codes that say so."""

    name: str
    place: str
    spoil: Callable[[str, s.Span], Spoilt | None]
    codes: frozenset[str]


def places(tree: s.RecipeSyntax, kind: str) -> list[s.Span]:
    """Where a kind of slip can happen in a recipe."""
    nodes = list(s.walk(tree.statements))
    stages = [node for node in nodes if isinstance(node, s.Stage)]
    options = [node for node in nodes if isinstance(node, s.OptionSyntax)]
    found = {
        "family": [stage.family.span for stage in stages if stage.family.name in FAMILIES],
        "option's name": [option.name.span for option in options],
        "def": [node.span for node in nodes if isinstance(node, s.Def)],
        "method": [method.span for stage in stages for method in stage.methods],
        "option's =": [between(option.name, option.value) for option in options],
        "option": [option.span for stage in stages for option in stage.options],
        "number": [o.value.span for stage in stages for o in stage.options if isinstance(o.value, s.Number)],
        "text": [node.span for node in nodes if isinstance(node, s.Text)],
        "pipe": [between(*pair) for flow in nodes if isinstance(flow, s.FlowSyntax) for pair in pairwise(flow.parts)],
        "flow": [node.span for node in nodes if isinstance(node, s.FlowSyntax)],
        "arrow": [between(node.source, node.target) for node in nodes if isinstance(node, s.Replace)],
        "comma": [between(*pair) for items in map(items_of, nodes) for pair in pairwise(items)],
        "list": [node.span for node in nodes if isinstance(node, s.List)],
        "reference": [node.span for node in nodes if isinstance(node, s.Ref)] + heads(nodes),
        "let": [node.span for node in nodes if isinstance(node, s.Let) and len(node.names) == 1],
        "statement": [node.span for node in tree.statements],
        "items": [between(*pair) for stage in stages for pair in pairwise((*stage.operand, *stage.options))],
        "operand and options": [
            s.Span(stage.operand[0].span.start, stage.options[0].span.end)
            for stage in stages
            if stage.operand and stage.options
        ],
    }
    return found[kind]


def between(first: s.SyntaxNode, second: s.SyntaxNode) -> s.Span:
    """What stands between two nodes."""
    return s.Span(first.span.end, second.span.start)


def items_of(node: s.SyntaxNode) -> tuple[s.SyntaxNode, ...]:
    """What commas part in a node."""
    if isinstance(node, s.List | s.RowSyntax):
        return node.items
    return node.args if isinstance(node, s.CallSyntax) else ()


def heads(nodes: list[s.SyntaxNode]) -> list[s.Span]:
    """Names of flows where flows begin."""
    firsts = [node.parts[0] for node in nodes if isinstance(node, s.FlowSyntax)]
    return [first.span for first in firsts if isinstance(first, s.Stage) and first.family.name not in FAMILIES]


def put(new: str):
    """Put a text in the place."""
    return change(lambda old: new)


def change(edit: Callable[[str], str | None]):
    """Change the text of the place; the error begins within it."""

    def spoil(text: str, at: s.Span) -> Spoilt | None:
        new = edit(text[at.start : at.end])
        return None if new is None else (text[: at.start] + new + text[at.end :], at.start, at.start + len(new))

    return spoil


def behind(new: str):
    """Put a text behind the place."""
    return lambda text, at: (text[: at.end] + new + text[at.end :], at.end, at.end + len(new))


def quote_lost(keep: slice):
    """Take quotes off a text; the error may begin anywhere on its line."""

    def spoil(text: str, at: s.Span) -> Spoilt:
        new = text[: at.start] + text[at.start : at.end][keep] + text[at.end :]
        return new, at.start - 1, new.index("\n", at.start)

    return spoil


def pipe_lost(text: str, at: s.Span) -> Spoilt | None:
    """Take a '|' out; the error begins at the word behind it."""
    gap = text[at.start : at.end]
    if "#" in gap:
        return None
    new = gap.replace("|", " ", 1) if "\n" in gap else " "
    word = re.match(r"\w+|.", text[at.end :])
    assert word
    return text[: at.start] + new + text[at.end :], at.start + len(new), at.start + len(new) + len(word[0])


def right_side_lost(text: str, at: s.Span) -> Spoilt:
    """Take what stands behind an arrow."""
    side = SIDE_AFTER.match(text, at.end)
    assert side
    return text[: at.end] + text[side.end() :], at.start, at.end + 1


def left_side_lost(text: str, at: s.Span) -> Spoilt | None:
    """Take what stands before an arrow."""
    side = SIDE_BEFORE.search(text[: at.start])
    return side and (text[: side.start()] + text[at.start :], side.start() - 1, side.start() + 2)


def equals_lost(text: str, at: s.Span) -> Spoilt:
    """Take the '=' of an option: the error may begin at what stands before."""
    return text[: at.start] + " " + text[at.end :], at.start - 30, at.end + 2


def option_first(old: str) -> str | None:
    """Put the first option before the operand."""
    cut = old.rfind(" ")
    return None if cut <= 0 or '"' in old[cut:] else f"{old[cut + 1 :]} {old[:cut]}"


TYPOS = {
    "letter lost": lambda word, i: word[:i] + word[i + 1 :],
    "letters swapped": lambda word, i: word[:i] + word[i + 1] + word[i] + word[i + 2 :],
    "letter doubled": lambda word, i: word[:i] + word[i] + word[i:],
}


def typo(how: str):
    """Misspell a word in its middle; a word of two letters gets one more."""

    def misspelt(word: str) -> str | None:
        made = TYPOS[how](word, len(word) // 2) if len(word) > 2 else word + "x"
        return made if made != word else None

    return change(misspelt)


def twice(text: str, at: s.Span) -> Spoilt:
    """Give an option a second time."""
    again = text[at.start : at.end]
    return f"{text[: at.end]} {again}{text[at.end :]}", at.end, at.end + 1 + len(again)


def swap(old: str, new: str):
    """Exchange characters of the place, where it has them."""
    return change(lambda text: text.replace(old, new) if old in text else None)


def damage(name: str, place: str, spoil, codes: str) -> Damage:
    """A row of the table."""
    return Damage(name, place, spoil, frozenset(codes.split()))


DAMAGES = [
    damage("closing quote lost", "text", quote_lost(slice(None, -1)), "RT101"),
    damage("opening quote lost", "text", quote_lost(slice(1, None)), "RT101 RT110"),
    damage("both quotes lost", "text", change(lambda text: text[1:-1]), "RT110 RT111 RT202 RT204 RT207"),
    damage("curly quotes", "text", change(lambda text: f"“{text[1:-1]}”"), "RT102"),
    damage("single quotes", "text", change(lambda text: f"'{text[1:-1]}'"), "RT102"),
    damage("backslash path", "text", swap("/", "\\"), "RT103 RT217 RT401 RT402 RT403"),
    damage("pipe lost", "pipe", pipe_lost, "RT104 RT119 RT202"),
    damage("pipe doubled", "pipe", swap("|", "| |"), "RT105"),
    damage("pipe at the end", "flow", behind(" |"), "RT105"),
    damage("pipe at the start", "flow", change(lambda text: f"| {text}"), "RT105 RT224"),
    *(damage(f"arrow as {a}", "arrow", put(a), "RT106") for a in ("=>", "-->", ":", "-", ">", "—")),
    damage("arrow as =", "arrow", put("="), "RT106 RT205"),
    damage("arrow lost", "arrow", put(" "), "RT106 RT111"),
    damage("right side lost", "arrow", right_side_lost, "RT107"),
    damage("left side lost", "arrow", left_side_lost, "RT107 RT204"),
    damage(": for =", "option's =", put(":"), "RT109"),
    damage("== for =", "option's =", put("=="), "RT109"),
    damage("= lost", "option's =", equals_lost, "RT109 RT110 RT111 RT113 RT114 RT120 RT202 RT205 RT222"),
    damage("value lost", "option", change(lambda text: text.split("=")[0] + "="), "RT108"),
    damage("unit on a number", "number", change(lambda text: f"{text}px"), "RT116"),
    damage("decimal comma", "number", swap(".", ","), "RT116"),
    damage("comma lost", "comma", put(" "), "RT111"),
    damage("comma doubled", "comma", put(",, "), "RT111"),
    damage("comma between options", "items", put(", "), "RT111"),
    damage("bracket not closed", "list", lambda text, at: (text[: at.end - 1] + text[at.end :], *span(at)), "RT112"),
    damage("bracket closed twice", "list", behind("]"), "RT112"),
    damage("- for _", "method", swap("_", "-"), "RT117"),
    damage("$ before a name", "reference", change(lambda text: f"${text}"), "RT118"),
    damage("; at the end", "statement", behind(";"), "RT118"),
    damage("let lost", "let", change(lambda text: text[4:]), "RT115"),
    damage("option before the operand", "operand and options", change(option_first), "RT120"),
    # What only a check of names and values can see
    *(damage(f"{how} in a family", "family", typo(how), "RT201") for how in TYPOS),
    *(damage(f"{how} in a method", "method", typo(how), "RT202") for how in TYPOS),
    damage("letter lost in an option", "option's name", typo("letter lost"), "RT205 RT214 RT222"),
    damage("letter lost in a name", "reference", typo("letter lost"), "RT201 RT202 RT204 RT215"),
    damage("capital letter", "family", change(str.capitalize), "RT201"),
    damage("option twice", "option", twice, "RT206"),
    damage("number in quotes", "number", change(lambda raw: f'"{raw}"'), "RT207"),
    damage("out of range", "number", put("99999999999"), "RT208"),
]


def span(at: s.Span) -> tuple[int, int]:
    """A span as a pair."""
    return at.start, at.end
