"""Why a statement cannot be read: a table of slips, tried from top to bottom; the first that holds is reported."""

from __future__ import annotations

from lark import Token

from retouch.lang.diagnostics import Report
from retouch.lang.scene import Scene
from retouch.lang.slip import Slip, before, edge, gap, kinds, name_and_sign, odd_quote, opener
from retouch.lang.syntax import Span
from retouch.lang.tokens import ARROWS, CLOSERS, ENDS_VALUE, EQUALS, NAMES, STARTS_VALUE, TEXTS
from retouch.lang.words import FAMILIES

NAME, COMMA, EQUAL, PIPE, LINE_END = map(kinds, ("NAME", "_COMMA", "EQUAL", "_PIPE", "_NL"))
EDIT = '"cat"->"dog"'
ONE_COMMA = "one ',' between two values"
A_FLOW = 'a flow starts with a stage or a name, such as open "cat.png"'

TABLE = (
    # Quotes and characters, which make everything after them unreliable
    Slip(
        "RT101",
        'let x = "cat" + dog + "fox',
        {"which": "closing", "mend": "a '\"' before and after each text"},
        when=lambda at: (
            any(token.type == "OPENSTRING" for token in at.tokens[max(0, at.index - 3) :]) and at.kind(0) != "_PIPE"
        ),
        blame=odd_quote,
    ),
    Slip(
        "RT102",
        'attend p2p "cat”->"dog”',
        {"mend": 'the plain quote, " and ", on both sides'},
        after=kinds("STRING"),
        here=kinds("NAME", "STRING", "_MINUS", "HYPHENS"),
        when=lambda at: "”" in at.before,
        blame=before,
    ),
    Slip("RT118", "invert ddim; sample", {"what": "{at.odd[0]}", "mend": "{at.odd[1]}"}, here=kinds("STRAY")),
    Slip(
        "RT118",
        "invert ddim steps=$ | sample",
        {"what": "{at.odd[0]}", "mend": "{at.odd[1]}"},
        after=kinds("STRAY"),
        blame=before,
    ),
    Slip(
        "RT112",
        "invert ddim]",
        {"what": "this '{at.mark}' closes nothing", "mend": "delete it"},
        here=CLOSERS,
        inside=False,
    ),
    # Halves of edits and of options
    Slip(
        "RT107",
        'attend p2p "cat"-> | sample',
        {"side": "what it becomes", "mend": EDIT},
        after=kinds("_ARROW"),
        blame=edge,
    ),
    Slip(
        "RT107",
        'attend p2p "cat"=> | sample',
        {"side": "what it becomes", "mend": EDIT},
        after=kinds("WRONGARROW"),
        when=lambda at: at.kind(0) not in STARTS_VALUE,
        blame=edge,
    ),
    Slip("RT117", "let soft-mask = 1", {"mend": "{at.underscored}"}, here=kinds("HYPHENS")),
    Slip(
        "RT107",
        'attend p2p "cat"->"dog" ->"fox"',
        {"side": "what is there now", "mend": EDIT},
        here=kinds("_ARROW"),
        when=lambda at: at.kind(-2) == "_ARROW" and at.touches(-2, -1) and not at.touches(-1, 0),
    ),
    Slip(
        "RT107",
        'attend p2p "cat"-> steps=5',
        {"side": "what it becomes", "mend": EDIT},
        here=kinds("_ARROW", "EQUAL"),
        when=lambda at: at.kind(-2) == "_ARROW",
        blame=lambda at: at.span(-2),
    ),
    Slip(
        "RT108",
        "invert ddim steps= guidance=5",
        {"name": "{at[-3]}", "mend": "{at[-3]}=…"},
        here=EQUAL,
        when=lambda at: at.kind(-2) == "EQUAL" and at.index > 2,
        blame=lambda at: Span(at.span(-3).start, at.span(-2).end),
    ),
    # Pipes that are lost or too many
    Slip(
        "RT104",
        'invert ddim swap("cat", "dog")',
        {"word": "{at.before}"},
        after=NAMES,
        here=kinds("_LPAR"),
        inside=False,
        when=lambda at: at.index > 1,
        blame=before,
    ),
    Slip(
        "RT104",
        'swap("cat", "dog") sample',
        {"word": "{at.here}"},
        after=CLOSERS,
        here=NAME,
        inside=False,
        when=lambda at: at.kind(1) != "EQUAL" and at.first != "def" and (at.kind(-1) == "_RPAR" or at.here in FAMILIES),
    ),
    Slip(
        "RT105",
        "let x = 3\n| sample",
        {"where": "before '|'", "mend": f"delete the '|': {A_FLOW}"},
        here=PIPE,
        inside=False,
        when=lambda at: (
            at.first in ("use", "let", "retouch", "defaults") and at.kind(-1) != "EQUAL" and at.here[0] == "\n"
        ),
    ),
    Slip(
        "RT105",
        "x = | invert ddim",
        {"where": "before '|'", "mend": f"delete the '|': {A_FLOW}"},
        after=EQUAL,
        here=PIPE,
        inside=False,
        when=lambda at: at.index == 2 or at.kind(-2) == "_RPAR",
    ),
    Slip("RT107", 'attend p2p ->"dog"', {"side": "what is there now", "mend": EDIT}, here=ARROWS),
    Slip(
        "RT108",
        'attend p2p "fluffy"* | sample',
        {"name": "*", "mend": '"fluffy"*2'},
        after=kinds("_STAR"),
        blame=before,
    ),
    Slip(
        "RT107",
        "attend p2p + | sample",
        {"side": "the words", "mend": '+"a red hat"'},
        after=kinds("_PLUS", "_MINUS"),
        blame=before,
    ),
    # Inside brackets
    Slip(
        "RT111",
        "sample guidance=[3,, 5]",
        {"what": "there is a ',' too many", "mend": ONE_COMMA},
        here=COMMA,
        inside=True,
    ),
    Slip(
        "RT111",
        "sample guidance=[3, | save",
        {"what": "there is a ',' too many", "mend": ONE_COMMA},
        after=COMMA,
        inside=True,
        when=lambda at: at.kind(0) != "_NL",
        blame=before,
    ),
    Slip(
        "RT112",
        "sample guidance=[3, 5 | save",
        {"what": "this '{at.opened}' is not closed", "mend": "a '{at.closes}'"},
        here=kinds("_NL", "_PIPE", "EQUAL", *CLOSERS),
        inside=True,
        blame=opener,
    ),
    Slip(
        "RT112",
        "sample guidance=[3 steps=5",
        {"what": "this '{at.opened}' is not closed", "mend": "a '{at.closes}'"},
        here=NAME,
        then=EQUAL,
        inside=True,
        blame=opener,
    ),
    Slip("RT106", 'let x = ("cat"-"dog")', {}, after=TEXTS, here=kinds("_MINUS"), inside=True),
    Slip(
        "RT111",
        'let x = ["cat" "dog"]',
        {"what": "a ',' or a '->' is missing, or quotes", "mend": ONE_COMMA},
        after=TEXTS,
        here=TEXTS,
        inside=True,
        blame=gap,
    ),
    Slip(
        "RT111",
        "sample guidance=[3 5]",
        {"what": "a ',' is missing", "mend": ONE_COMMA},
        after=ENDS_VALUE,
        here=STARTS_VALUE,
        inside=True,
        blame=gap,
    ),
    # Commas outside of brackets
    Slip(
        "RT116",
        "sample guidance=7,5",
        {"raw": "{at.before},{at.then}", "mend": "{at.before}.{at.then}"},
        after=kinds("NUMBER"),
        here=COMMA,
        then=kinds("NUMBER"),
        blame=lambda at: Span(at.span(-1).start, at.span(1).end),
    ),
    Slip(
        "RT111",
        'attend p2p "cat"->"dog", "red"->"blue"',
        {
            "what": "there is no ',' outside brackets",
            "mend": f'several changes stand side by side: {EDIT} "red"->"blue"',
        },
        after=TEXTS,
        here=COMMA,
        then=TEXTS,
    ),
    Slip(
        "RT111",
        "sample guidance=5, steps=20",
        {
            "what": "there is no ',' outside brackets",
            "mend": "options are parted by spaces; several values of one option stand in [ ]",
        },
        here=COMMA,
    ),
    # Statements that begin with a keyword
    Slip(
        "RT114",
        "let x = photo | invert ddim",
        {"what": "a 'let' holds a value, not a flow", "mend": "{at.tokens[1]} = …, without 'let', keeps a flow"},
        when=lambda at: at.first == "let" and at.value is not None and at.value.type == "NAME",
        blame=edge,
    ),
    Slip(
        "RT114",
        "let 3",
        {"what": "'let' needs a name and a value", "mend": "let name = value"},
        when=lambda at: at.first == "let",
        blame=edge,
    ),
    Slip(
        "RT114",
        "use swaps",
        {"what": "'use' needs a file in quotes", "mend": 'use "swaps.retouch"'},
        when=lambda at: at.first == "use",
        blame=edge,
    ),
    Slip(
        "RT114",
        "retouch one",
        {"what": "'retouch' needs a number", "mend": "retouch 1"},
        when=lambda at: at.first == "retouch",
        blame=edge,
    ),
    Slip(
        "RT114",
        "defaults 50",
        {"what": "'defaults' needs options", "mend": "defaults steps=50 seed=1"},
        when=lambda at: at.first == "defaults" and at.index == 1,
        blame=edge,
    ),
    Slip(
        "RT114",
        "def swap = invert ddim",
        {
            "what": "'def' needs a name, parameters in ( ), '=' and a flow",
            "mend": "def swap(a, b) = invert ddim | attend p2p a->b",
        },
        when=lambda at: at.first == "def" and at.index <= at.body,
        blame=edge,
    ),
    # Options and stages of which a part is missing
    Slip(
        "RT105",
        "x =",
        {"where": "after '='", "mend": A_FLOW},
        after=EQUAL,
        here=LINE_END,
        when=lambda at: at.index == 2,
        blame=before,
    ),
    Slip(
        "RT108",
        "invert ddim steps= | sample",
        {"name": "{at.option}", "mend": "{at.option}=…"},
        after=EQUALS,
        here=kinds("_NL", "_PIPE", "EQUAL"),
        blame=name_and_sign,
    ),
    Slip("RT105", "| invert ddim", {"where": "before '|'", "mend": A_FLOW}, after=kinds(""), here=PIPE),
    Slip(
        "RT105",
        "invert ddim | | sample",
        {"where": "between '|' and '|'", "mend": "delete one '|'"},
        after=PIPE,
        here=PIPE,
    ),
    Slip(
        "RT105",
        "invert ddim |",
        {"where": "after '|'", "mend": "delete the '|'; a flow goes on when the next line begins with '|'"},
        after=PIPE,
        here=LINE_END,
        blame=before,
    ),
    Slip(
        "RT105",
        'invert ddim | "cat"->"dog"',
        {"where": "after '|'", "mend": "a stage begins with a family, such as mask or sample"},
        after=PIPE,
        here=TEXTS | {"_LSQB", "_LPAR", "NUMBER"},
    ),
    Slip(
        "RT109",
        "invert ddim | x = sample",
        {"mend": "a flow's name at the start of a line"},
        here=EQUAL,
        when=lambda at: at.kind(-2) == "_PIPE",
    ),
    Slip(
        "RT109",
        "defaults steps: | sample",
        {"mend": "{at.before}=…"},
        after=kinds("NAME", "HYPHENS"),
        here=kinds("COLON", "EQEQ"),
    ),
    Slip("RT106", 'attend p2p "cat": | sample', {}, after=TEXTS, here=EQUALS),
    Slip("RT109", "invert ddim steps==", {"mend": "name=value"}, here=EQUALS),
    Slip("RT109", "invert ddim steps== | sample", {"mend": "name=value"}, after=kinds("EQEQ")),
    Slip("RT105", '"cat.png" | invert ddim', {"where": "here", "mend": A_FLOW}, after=kinds(""), here=TEXTS),
    Slip(
        "RT108",
        "sample guidance=*2",
        {"name": "{at.option}", "mend": "{at.option}=…"},
        after=EQUAL,
        here=kinds("_STAR"),
    ),
    Slip(
        "RT110",
        'use "a.retouch" "b.retouch"',
        {"what": "'{at.here}'", "mend": "{at.quoted}"},
        after=ENDS_VALUE,
        here=STARTS_VALUE,
    ),
    Slip(
        "RT100", "sample guidance=5*2", {"mend": 'a line is a flow such as: open "cat.png" | invert ddim'}, blame=edge
    ),
)


def classify(tokens: list[Token], index: int, newline: Token, text: str, report: Report) -> Slip:
    """Report why the token at this index does not fit, and return the row that says so."""
    at = Scene(tokens, index, newline, text)
    row = next(row for row in TABLE if row.holds(at))
    report.add(row.code, row.blame(at), **row.words(at))
    return row
