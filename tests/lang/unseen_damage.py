"""Slips that the parser was not made with: written before it was ever shown them."""

import re

from retouch.lang import syntax as s
from tests.lang.damage import Damage, Spoilt, behind, change, damage, put


def pipe_at_the_end_of_the_line(text: str, at: s.Span) -> Spoilt | None:
    """Move a '|' that begins a line to the end of the line above."""
    gap = text[at.start : at.end]
    if "\n" not in gap or "#" in gap:
        return None
    return text[: at.start] + " |" + gap.replace("| ", "  ") + text[at.end :], at.start, at.start + 2


def opening_bracket_lost(text: str, at: s.Span) -> Spoilt:
    """Take the '[' of a list; the error may begin anywhere in it."""
    return text[: at.start] + text[at.start + 1 :], at.start, at.end


def in_two_words(text: str, at: s.Span) -> Spoilt | None:
    """Write a space for the '_' of an option's name."""
    name, equals, value = text[at.start : at.end].partition("=")
    if "_" not in name:
        return None
    spaced = name.replace("_", " ")
    return text[: at.start] + spaced + equals + value + text[at.end :], at.start, at.start + len(spaced)


def in_parentheses(text: str, at: s.Span) -> Spoilt:
    """Write an option as the argument of a function; the error may begin at the word before."""
    new = f"{text[: at.start].rstrip()}({text[at.start : at.end]})"
    return new + text[at.end :], re.search(r"\w*\W*$", text[: at.start]).start(), at.end + 1


def dotted(text: str, at: s.Span) -> Spoilt | None:
    """Join a method to its family with a '.'; the error begins at the family."""
    family = re.search(r"\w+\s+$", text[: at.start])
    return family and (f"{text[: at.start].rstrip()}.{text[at.start :]}", family.start(), at.end)


def with_sign(sign: str):
    """Write another sign for the '|' between two stages."""
    return change(lambda gap: gap.replace("|", sign) if "#" not in gap else None)


UNSEEN_DAMAGES: list[Damage] = [
    damage("pipe as ;", "pipe", with_sign(";"), "RT118"),
    damage("pipe as ->", "pipe", with_sign("->"), "RT104"),
    damage("pipe as ||", "pipe", with_sign("||"), "RT105"),
    damage("full-width pipe", "pipe", with_sign("｜"), "RT118"),
    damage("pipe at the line's end", "pipe", pipe_at_the_end_of_the_line, "RT105"),
    damage("// for #", "statement", behind("  // why"), "RT118"),
    damage("\\ at the line's end", "statement", behind(" \\"), "RT118"),
    damage("space before %", "number", change(lambda raw: f"{raw.rstrip('%')} %"), "RT116 RT118"),
    damage("a fraction", "number", put("1/2"), "RT116"),
    damage("True for true", "number", put("True"), "RT204"),
    damage("percentage in quotes", "number", put('"40%"'), "RT207"),
    damage("unit after a space", "number", behind(" px"), "RT110"),
    damage("option in parentheses", "option", in_parentheses, "RT109"),
    damage("option's name in two words", "option", in_two_words, "RT109 RT110"),
    damage("braces for a list", "list", change(lambda raw: "{" + raw[1:-1] + "}"), "RT118"),
    damage("list closed with )", "list", change(lambda raw: raw[:-1] + ")"), "RT112"),
    damage("opening bracket lost", "list", opening_bracket_lost, "RT111 RT112"),
    damage("full-width comma", "comma", put("，"), "RT118"),
    damage("quotes doubled", "text", change(lambda raw: f'"{raw}"'), "RT102"),
    damage("let with :", "let", change(lambda raw: raw.replace(" =", ":", 1)), "RT109 RT114"),
    damage("def lost", "def", change(lambda raw: raw[4:]), "RT114"),
    damage("method behind a dot", "method", dotted, "RT105 RT201"),
]
