"""The parser tables: Python modules written from the grammar, so that starting reads no grammar and unpickles nothing.

`python -m retouch.lang.tables` writes them anew after a change of the grammar.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

GRAMMAR = Path(__file__).parents[3] / "grammar"
MODULES = {"_tables_recipe": ("recipe.lark",), "_tables_mistakes": ("recipe.lark", "mistakes.lark")}
SHIFT = 0  # the number that lark gives this action
HEADER = '''"""Parser tables of {}; written by `python -m retouch.lang.tables`, not by hand."""
# ruff: noqa (generated)
# fmt: off
'''


@cache
def strict() -> Lark:
    """Return the parser of right recipes."""
    return load("_tables_recipe")


@cache
def tolerant() -> Lark:
    """Return the parser that also understands what people type by mistake."""
    return load("_tables_mistakes")


def load(module: str) -> Lark:
    """Return a parser from its written tables: lark's own way of loading, minus the pickle."""
    tables = import_module(f"retouch.lang.{module}")
    return Lark.__new__(Lark)._load({"data": tables.DATA, "memo": tables.MEMO})


def build(files: tuple[str, ...]) -> Lark:
    """Return a parser from grammar text. The tolerant one lexes a whole text before it knows what may stand where."""
    text = "".join((GRAMMAR / name).read_text("utf-8") for name in files)
    lexer = "contextual" if len(files) == 1 else "basic"
    return Lark(text, parser="lalr", lexer=lexer, propagate_positions=True, maybe_placeholders=True)


def source(files: tuple[str, ...]) -> str:
    """Return the text of the module that holds the tables of these grammar files; the same in every run."""
    data, memo = build(files).memo_serialize([TerminalDef, Rule])
    data["parser"]["parser"] = numbered(data["parser"]["parser"])
    return f"{HEADER.format(' + '.join(files))}\nDATA = {spread(data, 4)}\nMEMO = {spread(memo, 1)}\n"


def numbered(automaton: dict[str, Any]) -> dict[str, Any]:
    """Return the same automaton with tokens and states numbered in a fixed order, which lark leaves to chance."""
    names, states = automaton["tokens"], automaton["states"]
    tokens = {name: i for i, name in enumerate(sorted(names.values()))}
    order = list(automaton["start_states"].values())
    rows = []
    for state in order:  # grows while it is read: breadth first
        row = sorted((tokens[names[token]], action) for token, action in states[state].items())
        order += [target for _, (kind, target) in row if kind == SHIFT and target not in order]
        rows.append(row)
    number = {state: i for i, state in enumerate(order)}
    return {
        "tokens": {i: name for name, i in tokens.items()},
        "states": {
            i: {token: (kind, number[target] if kind == SHIFT else target) for token, (kind, target) in row}
            for i, row in enumerate(rows)
        },
        "start_states": {rule: number[state] for rule, state in automaton["start_states"].items()},
        "end_states": {rule: number[state] for rule, state in automaton["end_states"].items()},
    }


def spread(value: Any, depth: int) -> str:
    """A value as Python, one item a line down to a depth, so that a change of the grammar is a small difference."""
    if depth and isinstance(value, dict):
        return "{\n" + "".join(f"{key!r}: {spread(item, depth - 1)},\n" for key, item in value.items()) + "}"
    return repr(value)


def main() -> None:
    """Write both modules beside this one."""
    for module, files in MODULES.items():
        Path(__file__).with_name(f"{module}.py").write_text(source(files), "utf-8")


if __name__ == "__main__":
    main()
