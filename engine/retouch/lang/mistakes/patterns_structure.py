"""The table of mistakes, second part: brackets, commas, statements that begin with a keyword, and what is missing."""

from __future__ import annotations

from retouch.lang.mistakes.pattern import MistakePattern, before, edge, gap, kinds, name_and_sign, opener
from retouch.lang.mistakes.patterns_tokens import A_FLOW, EDIT, EQUAL, NAME, PIPE
from retouch.lang.syntax import Span
from retouch.lang.tokens import CLOSERS, ENDS_VALUE, EQUALS, STARTS_VALUE, TEXTS
from retouch.lang.words import FAMILIES

COMMA, LINE_END = map(kinds, ("_COMMA", "_NL"))
ONE_COMMA = "one ',' between two values"

SHAPES = (
    # Inside brackets
    MistakePattern(
        "RT112",
        "sample guidance=[3, 5, )",
        {"what": "this '{at.opened}' is closed by a '{at.mark}'", "mend": "a '{at.closes}'"},
        here=CLOSERS,
        inside=True,
        when=lambda at: at.mark != at.closes,
        blame=opener,
    ),
    MistakePattern(
        "RT112",
        'let x = [1,\nopen "cat.png"',
        {"what": "this '{at.opened}' is not closed", "mend": "a '{at.closes}'"},
        after=NAME,
        inside=True,
        when=lambda at: at.before in FAMILIES and at.begins_line(-1),
        blame=opener,
    ),
    MistakePattern(
        "RT111",
        "sample guidance=[3,, 5]",
        {"what": "there is a ',' too many", "mend": ONE_COMMA},
        here=COMMA,
        inside=True,
    ),
    MistakePattern(
        "RT111",
        "sample guidance=[3, | save",
        {"what": "there is a ',' too many", "mend": ONE_COMMA},
        after=COMMA,
        inside=True,
        when=lambda at: at.kind(0) != "_NL",
        blame=before,
    ),
    MistakePattern(
        "RT112",
        "sample guidance=[3, 5 | save",
        {"what": "this '{at.opened}' is not closed", "mend": "a '{at.closes}'"},
        here=kinds("_NL", "_PIPE", "EQUAL", *CLOSERS),
        inside=True,
        blame=opener,
    ),
    MistakePattern(
        "RT112",
        "sample guidance=[3 steps=5",
        {"what": "this '{at.opened}' is not closed", "mend": "a '{at.closes}'"},
        here=NAME,
        then=EQUAL,
        inside=True,
        blame=opener,
    ),
    MistakePattern("RT106", 'let x = ("cat"-"dog")', {}, after=TEXTS, here=kinds("_MINUS"), inside=True),
    MistakePattern(
        "RT111",
        'let x = ["cat" "dog"]',
        {"what": "a ',' or a '->' is missing, or quotes", "mend": ONE_COMMA},
        after=TEXTS,
        here=TEXTS,
        inside=True,
        blame=gap,
    ),
    MistakePattern(
        "RT111",
        "sample guidance=[3 5]",
        {"what": "a ',' is missing", "mend": ONE_COMMA},
        after=ENDS_VALUE,
        here=STARTS_VALUE,
        inside=True,
        blame=gap,
    ),
    # Commas outside of brackets
    MistakePattern(
        "RT112",
        "sample guidance=3, 5]",
        {"what": "the '[' of this list is missing", "mend": "[{at.before}, …]"},
        after=ENDS_VALUE,
        here=COMMA,
        when=lambda at: at.closed_later,
        blame=before,
    ),
    MistakePattern(
        "RT116",
        "sample guidance=7,5",
        {"raw": "{at.before},{at.then}", "mend": "{at.before}.{at.then}"},
        after=kinds("NUMBER"),
        here=COMMA,
        then=kinds("NUMBER"),
        blame=lambda at: Span(at.span(-1).start, at.span(1).end),
    ),
    MistakePattern(
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
    MistakePattern(
        "RT111",
        "sample guidance=5, steps=20",
        {
            "what": "there is no ',' outside brackets",
            "mend": "options are parted by spaces; several values of one option stand in [ ]",
        },
        here=COMMA,
    ),
    # Statements that begin with a keyword
    MistakePattern(
        "RT114",
        "let x = photo | invert ddim",
        {"what": "a 'let' holds a value, not a flow", "mend": "{at.tokens[1]} = …, without 'let', keeps a flow"},
        when=lambda at: at.first == "let" and at.value is not None and at.value.type == "NAME",
        blame=edge,
    ),
    MistakePattern(
        "RT114",
        "let 3",
        {"what": "'let' needs a name and a value", "mend": "let name = value"},
        when=lambda at: at.first == "let",
        blame=edge,
    ),
    MistakePattern(
        "RT114",
        "use swaps",
        {"what": "'use' needs a file in quotes", "mend": 'use "swaps.retouch"'},
        when=lambda at: at.first == "use",
        blame=edge,
    ),
    MistakePattern(
        "RT114",
        "retouch one",
        {"what": "'retouch' needs a number", "mend": "retouch 1"},
        when=lambda at: at.first == "retouch",
        blame=edge,
    ),
    MistakePattern(
        "RT114",
        'seed "7"',
        {"what": "'seed' needs a number", "mend": "seed 7"},
        when=lambda at: at.first == "seed" and at.index == 1,
        blame=edge,
    ),
    MistakePattern(
        "RT114",
        "defaults 50",
        {"what": "'defaults' needs options", "mend": "defaults steps=50 seed=1"},
        when=lambda at: at.first == "defaults" and at.index == 1,
        blame=edge,
    ),
    MistakePattern(
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
    MistakePattern(
        "RT105",
        "x =",
        {"where": "after '='", "mend": A_FLOW},
        after=EQUAL,
        here=LINE_END,
        when=lambda at: at.index == 2,
        blame=before,
    ),
    MistakePattern(
        "RT108",
        "invert ddim steps= | sample",
        {"name": "{at.option}", "mend": "{at.option}=…"},
        after=EQUALS,
        here=kinds("_NL", "_PIPE", "EQUAL"),
        blame=name_and_sign,
    ),
    MistakePattern("RT105", "| invert ddim", {"where": "before '|'", "mend": A_FLOW}, after=kinds(""), here=PIPE),
    MistakePattern(
        "RT105",
        "invert ddim | | sample",
        {"where": "between '|' and '|'", "mend": "delete one '|'"},
        after=PIPE,
        here=PIPE,
    ),
    MistakePattern(
        "RT105",
        "invert ddim |",
        {"where": "after '|'", "mend": "delete the '|'; a flow goes on when the next line begins with '|'"},
        after=PIPE,
        here=LINE_END,
        blame=before,
    ),
    MistakePattern(
        "RT105",
        'invert ddim | "cat"->"dog"',
        {"where": "after '|'", "mend": "a stage begins with a family, such as mask or sample"},
        after=PIPE,
        here=TEXTS | {"_LSQB", "_LPAR", "NUMBER"},
    ),
    MistakePattern(
        "RT109",
        "invert ddim | x = sample",
        {"mend": "a flow's name at the start of a line"},
        here=EQUAL,
        when=lambda at: at.kind(-2) == "_PIPE",
    ),
    MistakePattern(
        "RT109",
        'photo: open "cat.png"',
        {"mend": "{at.before}=…"},
        after=kinds("NAME", "HYPHENS"),
        here=kinds("COLON", "EQEQ"),
    ),
    MistakePattern("RT106", 'attend p2p "cat"=="dog"', {}, after=TEXTS, here=EQUALS),
    MistakePattern("RT109", "sample 5=guidance", {"mend": "name=value"}, here=EQUALS),
    MistakePattern("RT105", '"cat.png" | invert ddim', {"where": "here", "mend": A_FLOW}, after=kinds(""), here=TEXTS),
    MistakePattern(
        "RT108",
        "sample guidance=*2",
        {"name": "{at.option}", "mend": "{at.option}=…"},
        after=EQUALS,
        here=kinds("_STAR"),
    ),
    MistakePattern(
        "RT110",
        "defaults steps=20 seed 7",
        {"what": "'{at.here}'", "mend": "if it is text, put it in quotes: {at.quoted}"},
        after=ENDS_VALUE,
        here=STARTS_VALUE,
    ),
    MistakePattern(
        "RT100", "sample guidance=5*2", {"mend": 'a line is a flow such as: open "cat.png" | invert ddim'}, blame=edge
    ),
)
