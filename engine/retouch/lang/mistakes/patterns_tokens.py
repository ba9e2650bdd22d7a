"""The table of mistakes, first part: quotes, characters, halves of edits, and pipes."""

from __future__ import annotations

from retouch.lang.mistakes.pattern import MistakePattern, before, edge, kinds, odd_quote
from retouch.lang.syntax import Span
from retouch.lang.tokens import ARROWS, CLOSERS, ENDS_VALUE, EQUALS, STARTS_VALUE, TEXTS, span_of
from retouch.lang.words import FAMILIES

NAME, EQUAL, PIPE = map(kinds, ("NAME", "EQUAL", "_PIPE"))
EDIT = '"cat"->"dog"'
A_FLOW = 'a flow starts with a stage or a name, such as open "cat.png"'

SIGNS = (
    # Quotes and characters, which make everything after them unreliable
    MistakePattern(
        "RT101",
        'let x = "cat" + dog + "fox',
        {"which": "closing", "mend": "a '\"' before and after each text"},
        when=lambda at: (
            any(token.type == "OPENSTRING" for token in at.tokens[max(0, at.index - 3) :]) and at.kind(0) != "_PIPE"
        ),
        blame=odd_quote,
    ),
    MistakePattern(
        "RT102",
        'attend p2p "cat”->"dog”',
        {"mend": 'the plain quote, ", on both sides of each text'},
        here=kinds("STRAY"),
        when=lambda at: at.here in "“”„«»‘’",
    ),
    MistakePattern("RT124", 'let y = "a" + x', {"mend": "write both in one text"}, after=TEXTS, here=kinds("_PLUS")),
    MistakePattern("RT118", "invert ddim; sample", {"what": "{at.odd[0]}", "mend": "{at.odd[1]}"}, here=kinds("STRAY")),
    MistakePattern(
        "RT118",
        "$dog | sample",
        {"what": "{at.odd[0]}", "mend": "{at.odd[1]}"},
        after=kinds("STRAY"),
        blame=before,
    ),
    MistakePattern(
        "RT112",
        "invert ddim]",
        {"what": "this '{at.mark}' closes nothing", "mend": "delete it"},
        here=CLOSERS,
        inside=False,
    ),
    # Halves of edits and of options
    MistakePattern(
        "RT107",
        'attend p2p "cat"-> | sample',
        {"side": "what it becomes", "mend": EDIT},
        after=kinds("_ARROW"),
        blame=edge,
    ),
    MistakePattern(
        "RT107",
        'attend p2p "cat"=> | sample',
        {"side": "what it becomes", "mend": EDIT},
        after=kinds("WRONGARROW"),
        when=lambda at: at.kind(0) not in STARTS_VALUE,
        blame=edge,
    ),
    MistakePattern("RT117", "let soft-mask = 1", {"mend": "{at.underscored}"}, here=kinds("HYPHENS")),
    MistakePattern(
        "RT107",
        'attend p2p "cat"->"dog" ->"fox"',
        {"side": "what is there now", "mend": EDIT},
        here=kinds("_ARROW"),
        when=lambda at: at.kind(-2) == "_ARROW" and at.touches(-2, -1) and not at.touches(-1, 0),
    ),
    MistakePattern(
        "RT107",
        'attend p2p "cat"-> steps=5',
        {"side": "what it becomes", "mend": EDIT},
        here=kinds("_ARROW", "EQUAL"),
        when=lambda at: at.kind(-2) == "_ARROW",
        blame=lambda at: at.span(-2),
    ),
    MistakePattern(
        "RT108",
        "invert ddim steps= guidance=5",
        {"name": "{at.option_before}", "mend": "{at.option_before}=…"},
        here=EQUAL,
        when=lambda at: at.kind(-2) == "EQUAL" and at.index > 2,
        blame=lambda at: Span(at.span(-3).start, at.span(-2).end),
    ),
    # Options and defs that are written as in other languages
    MistakePattern(
        "RT109",
        "mask dilate(pixels=8)",
        {"mend": "options without ( ): {at.before}=…"},
        after=NAME,
        here=EQUAL,
        when=lambda at: at.kind(-2) == "_LPAR" and at.kind(-3) in ENDS_VALUE,
        blame=lambda at: at.span(-2),
    ),
    MistakePattern(
        "RT109",
        "sample guidance=5(steps=3)",
        {"mend": "options without ( ): {at.then}=…"},
        after=ENDS_VALUE,
        here=kinds("_LPAR"),
        then=NAME,
        inside=False,
        when=lambda at: at.kind(2) == "EQUAL",
    ),
    MistakePattern(
        "RT114",
        "swap(a, b) = invert ddim",
        {"what": "'def' is missing here", "mend": "def {at.first}(…) = …"},
        after=kinds("_RPAR"),
        here=EQUAL,
        inside=False,
        when=lambda at: at.first.type == "NAME" and at.first != "def" and at.tokens[1].type == "_LPAR",
        blame=lambda at: span_of(at.first),
    ),
    # Pipes that are lost or too many
    MistakePattern(
        "RT104",
        'swap("cat", "dog") sample',
        {"word": "{at.before}"},
        after=NAME,
        inside=False,
        when=lambda at: at.kind(-2) == "_RPAR" and at.kind(0) not in EQUALS and at.first != "def",
        blame=before,
    ),
    MistakePattern(
        "RT104",
        '["cat", "dog"] sample',
        {"word": "{at.here}"},
        after=CLOSERS,
        here=NAME,
        inside=False,
        when=lambda at: at.kind(1) != "EQUAL" and at.first != "def" and (at.kind(-1) == "_RPAR" or at.here in FAMILIES),
    ),
    MistakePattern(
        "RT105",
        "let x = 3\n| sample",
        {"where": "before '|'", "mend": f"delete the '|': {A_FLOW}"},
        here=PIPE,
        inside=False,
        when=lambda at: (
            at.first in ("use", "let", "retouch", "defaults", "seed") and at.kind(-1) != "EQUAL" and at.here[0] == "\n"
        ),
    ),
    MistakePattern(
        "RT105",
        "x = | invert ddim",
        {"where": "before '|'", "mend": f"delete the '|': {A_FLOW}"},
        after=EQUAL,
        here=PIPE,
        inside=False,
        when=lambda at: at.index == 2 or at.kind(-2) == "_RPAR",
    ),
    MistakePattern("RT107", 'let x = (->"dog")', {"side": "what is there now", "mend": EDIT}, here=ARROWS),
    MistakePattern(
        "RT108",
        'attend p2p "fluffy"* | sample',
        {"name": "*", "mend": '"fluffy"*2'},
        after=kinds("_STAR"),
        blame=before,
    ),
    MistakePattern(
        "RT107",
        "attend p2p + | sample",
        {"side": "the words", "mend": '+"a red hat"'},
        after=kinds("_PLUS", "_MINUS"),
        blame=before,
    ),
)
