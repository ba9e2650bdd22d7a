"""The JSON form of a recipe, which keeps all that the text keeps.

{"retouch": 1, "statements": [node, …], "lines": [{"line": 3, "text": "# why"}, …]}: a node is
{"is": kind, …fields}, a name is a string, and what is empty is left out. `lines` are the comments and
blank lines of the laid out text, by number; one that is `behind` stands behind a statement's own line.
"""

from __future__ import annotations

import re
from functools import cache
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from retouch.lang import syntax as s
from retouch.lang.format import format_recipe
from retouch.lang.parse import parse

VERSION = 1
COMMENT_OR_BLANK = r"( *#[^\r\n]*)?"
HIDDEN = ("span", "comments")
NOT_IN_JSON = (s.SyntaxNode, s.Word, s.Bad, s.Broken, s.RecipeSyntax)


def json_word(kind: type) -> str:
    """Return the word for a kind of node or value in the JSON form, which stays when a class is renamed."""
    return kind.__name__.removesuffix("Syntax").lower()


KINDS = {
    json_word(kind): kind
    for kind in vars(s).values()
    if isinstance(kind, type) and issubclass(kind, s.SyntaxNode) and kind not in NOT_IN_JSON
}


def to_json(recipe: s.RecipeSyntax, text: str = "") -> dict[str, Any]:
    """Return the recipe as JSON; `text` is what it was read from. A recipe with mistakes is a ValueError."""
    laid = format_recipe(recipe, text)
    tree = parse(laid)[0]
    return {"retouch": VERSION, "statements": node_json(tree.statements), "lines": lines_json(laid, tree)}


def from_json(data: Any) -> str:
    """Return the laid out text of a recipe in JSON; data that are no recipe are a ValueError."""
    check_keys(data, {"retouch", "statements", "lines"}, "the recipe")
    if data.get("retouch") != VERSION:
        raise ValueError(f"'retouch' must be {VERSION}, and is {data.get('retouch')!r}")
    recipe = s.RecipeSyntax(read(data.get("statements", []), tuple[s.Statement, ...], "statements"))
    text = with_lines(format_recipe(recipe), data.get("lines", []))
    tree, found = parse(text)
    if tree != recipe:
        raise ValueError(f"this is not a recipe: {found[0].message if found else 'a name or a number is misspelt'}")
    return text


def node_json(value: Any) -> Any:
    """A node, or what stands in a field of one."""
    if isinstance(value, tuple):
        return [node_json(item) for item in value]
    if isinstance(value, s.Word):
        return value.name
    if isinstance(value, s.SyntaxNode):
        fields = {
            name: node_json(getattr(value, name)) for name in type(value).__dataclass_fields__ if name not in HIDDEN
        }
        kept = {
            name: item for name, item in fields.items() if item not in (None, []) and (name, item) != ("broken", False)
        }
        return {"is": json_word(type(value)), **kept}
    return value


def lines_json(laid: str, tree: s.RecipeSyntax) -> list[dict[str, Any]]:
    """Return the comments and blank lines of a laid out text."""
    rows = laid.split("\n")
    lines = [{"line": number, "text": ""} for number, row in enumerate(rows[:-1], 1) if not row]
    for comment in tree.comments:
        number = laid.count("\n", 0, comment.span.start) + 1
        own = {"line": number, "text": rows[number - 1]}
        lines.append(own if comment.own_line else {"line": number, "text": comment.text, "behind": True})
    return sorted(lines, key=lambda line: line["line"])


def with_lines(laid: str, lines: Any) -> str:
    """Return a laid out text with comments and blank lines put back."""
    code = laid.split("\n")[:-1]
    for i, line in enumerate(read_lines(lines)):
        number, text = line["line"], line["text"]
        if line.get("behind"):
            if not 0 < number <= len(code):
                raise ValueError(f"lines[{i}]: there is no line {number}")
            code[number - 1] += f"  {text}"
        else:
            code.insert(number - 1, text)
    return "".join(f"{line}\n" for line in code)


# Reading data that anyone may have written: every key and every type is checked against syntax.py.


def read(value: Any, hint: Any, where: str) -> Any:
    """Return the value of a field that is annotated with this hint."""
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise ValueError(f"{where} must be a list")
        return tuple(read(item, get_args(hint)[0], f"{where}[{i}]") for i, item in enumerate(value))
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    if value is None and NoneType in kinds:
        return None
    if isinstance(value, dict):
        return read_node(value, kinds, where)
    if isinstance(value, str) and s.Word in kinds:
        return s.Word(value)
    if type(value) in kinds:
        return value
    raise ValueError(f"{where} must be {' or '.join(json_word(kind) for kind in kinds)}, and is {value!r}")


def read_node(data: dict[str, Any], kinds: tuple[type, ...], where: str) -> s.SyntaxNode:
    """Return a node of one of these kinds."""
    kind = KINDS.get(data.get("is", ""))
    if kind is None or kind not in kinds:
        raise ValueError(f"{where}: 'is' must be {' or '.join(json_word(kind) for kind in kinds)}")
    fields = {name: field for name, field in kind.__dataclass_fields__.items() if name not in HIDDEN}
    check_keys(data, {"is", *fields}, where)
    hints = hints_of(kind)
    given = {name: read(data[name], hints[name], f"{where}.{name}") for name in fields if name in data}
    for name in fields.keys() - given.keys():
        given[name] = absent(hints[name], f"{where}.{name}")
    return kind(**given)


@cache
def hints_of(kind: type[s.SyntaxNode]) -> dict[str, Any]:
    """Return the annotations of a node's fields."""
    return get_type_hints(kind, dict(vars(s)))


def absent(hint: Any, where: str) -> Any:
    """Return the value of a field that was left out."""
    if get_origin(hint) is tuple:
        return ()
    if hint is bool:
        return False
    if isinstance(hint, UnionType) and NoneType in get_args(hint):
        return None
    raise ValueError(f"{where} is missing")


def read_lines(data: Any) -> list[dict[str, Any]]:
    """Return the comments and blank lines, in their order."""
    if not isinstance(data, list):
        raise ValueError("lines must be a list")
    for i, line in enumerate(data):
        where = f"lines[{i}]"
        check_keys(line, {"line", "text", "behind"}, where)
        text = line.get("text")
        if type(line.get("line")) is not int or not isinstance(text, str) or not re.fullmatch(COMMENT_OR_BLANK, text):
            raise ValueError(f"{where} must have a number as its 'line' and a comment or nothing as its 'text'")
    return data


def check_keys(data: Any, known: set[str], where: str) -> None:
    """Refuse what is no object, or has keys without a meaning."""
    if not isinstance(data, dict):
        raise ValueError(f"{where} must be an object")
    if unknown := sorted(data.keys() - known):
        raise ValueError(f"{where}: unknown key '{unknown[0]}'")
