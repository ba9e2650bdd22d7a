"""Plugins with one mistake each that is known without running anything, and what is said of it."""

# ruff: noqa: E501 - a table of programs, one a line

from __future__ import annotations

# ruff: noqa: E501

# What is known without running anything; said by every command, and `retouch plugins` first.
READ = {
    "syntax": ("def (", "SyntaxError"),
    "starred": (
        'from retouch.api import *\n@stage("mask", "starred")\ndef starred() -> Mask:\n    """X."""',
        "import *",
    ),
    "starred_hook": (
        'from retouch.api import *\n@stage("mask", "starred_hook")\ndef starred_hook() -> Mask:\n    """X."""\n'
        "@hookimpl\ndef retouch_stages():\n    return [starred_hook]",
        "'retouch_stages': 'from retouch.api import *' hides",
    ),
    "misspelt": ('@stage("invrt", "misspelt")\ndef f() -> Trajectory:\n    """X."""', "did you mean 'invert'?"),
    "hook": (
        "from retouch.api import hookimpl\n@hookimpl\ndef retouch_stagse():\n    return []",
        "did you mean 'retouch_stages'?",
    ),
    "unmarked": ("def retouch_stages():\n    return []", "not marked @hookimpl"),
    "range": (
        'from typing import Annotated\nfrom retouch.api import Range\n@stage("mask", "range_")\n'
        'def f(image: Image, *, share: Annotated[float, Range(0, 1)] = 5.0) -> Mask:\n    """X.\n\n    share: x.\n    """',
        "the default of 'share' is 5.0, and it takes a number from 0 to 1",
    ),
    "touch_what": (
        '@stage("attend", "a", touches=(Touch("cross", "replace", "prob"),))\ndef f(edit: Edit):\n    """X."""',
        "did you mean 'probs'?",
    ),
    "touch_word": (
        '@stage("attend", "a", touches=(Touch("cross", "replace", "probs", untill=0.5),))\ndef f(edit: Edit):\n    """X."""',
        "unexpected keyword argument 'untill'",
    ),
    "touch_kind": (
        '@stage("attend", "a", touches=(Touch("crss", "replace", "probs"),))\ndef f(edit: Edit):\n    """X."""',
        "did you mean 'cross'?",
    ),
    "touch_never": (
        '@stage("attend", "a", touches=(Touch("resnet", "replace", "q"),))\ndef f(edit: Edit):\n    """X."""',
        "which a resnet site does not have: features",
    ),
    "setting": ('@stage("mask", "a", verson=2)\ndef f(image: Image) -> Mask:\n    """X."""', "did you mean 'version'?"),
    "api_text": ('@stage("mask", "a", api="1")\ndef f(image: Image) -> Mask:\n    """X."""', "'api' is a whole number"),
    "spaced": ('@stage("mask", "my mask")\ndef f(image: Image) -> Mask:\n    """X."""', "a word of small letters"),
}


def card(mark: str, *, takes: str = "image: Image", returns: str = "Mask", family: str = "mask") -> str:
    """A stage of which only the mark matters."""
    return f'@stage("{family}", "NAME", {mark})\ndef NAME({takes}, *, n: int = 0, word: str = "a") -> {returns}:\n    """X."""'


_WALK, _CONTROL = "latents: Latents, schedule: Schedule, prompt: SourcePrompt", 'Touch("self", "replace", "kv"'


# What a card says, and what a check says of it: where its stage is used, or where it is read.
CARDS = {
    "zero": (card('rows="1 / n"'), "the rows of 'mask zero' cannot be reckoned: '1 / n' has no value: "),
    "below": (card('rows="n - 1"'), "comes to -1, and rows are a number from 0, or (least, most)"),
    "turned": (card('rows="(2, 1)"'), "comes to (2, 1), and rows are"),
    "endless": (card('rows="1e999"'), "comes to inf, and rows are"),
    "worded": (card('rows="word"'), "comes to 'a', and rows are"),
    "filling": (card('rows="word * 99999999999"'), "'a' is no number"),
    "listed": (card('rows="len(n)"'), "'len(n)' has no value: "),
    "logarithm": (card('rows="log(n)"'), "'log(n)' has no value: "),
    "falling": (card('rows="falls(n)"'), "'falls(n)' has no value: "),
    "needy": (card('needs=(Need("1 / n > 0", "a", "b"),)'), "the needs of 'mask needy' cannot be reckoned"),
    "mending": (card('needs=(Need("n > 0", "a", "{1 / n}"),)'), "the needs of 'mask mending' cannot be reckoned"),
    "idle": (card('moot=(Moot("n", "1 // (n - 1)", "x"),)'), "the moot of 'mask idle' cannot be reckoned"),
    "half_a_step": (
        card('facts={"steps": "steps / 2"}', takes=_WALK, returns="Trajectory", family="invert"),
        "the fact 'steps' of 'invert half_a_step' cannot be reckoned: 'steps / 2' comes to 1.0, and this is a whole",
    ),
    "replayed": (
        card('facts={"replays": 1}', takes=_WALK, returns="Trajectory", family="invert"),
        "comes to 1, and this is names of solvers, or 'any'",
    ),
    "lasting": (
        card('facts={"during": "n"}', takes="mask: Mask", returns="Blend", family="blend"),
        "comes to 0, and this is a pair of shares of the steps, (start, until)",
    ),
    "guided": (
        card('facts={"guide": "word"}', takes="guidance: Guidance", returns="Guidance", family="guide"),
        "comes to 'a', and this is",
    ),
    "power": (card('rows="9 ** 9 ** 9"'), "'9 ** 9 ** 9' is not arithmetic"),
    "long": (card(f'rows="{"1+" * 9000}1"'), "has more than 1000 characters"),
    "unneeded": (card('needs=(Need("n", 3, "b"),)'), "'needs' is a tuple, (Need(…),), of texts"),
    "mooted": (card('moot=(Moot("n", None, "b"),)'), "'moot' is a tuple, (Moot(…),), of texts"),
    "literal": (card('rows="a" * 99999999999'), "is arithmetic with what is no number"),
    "divided": (card("rows=1 / 0"), "division by zero"),
    "until_text": (
        card(f'touches=({_CONTROL}, until="word"),)', takes="edit: Edit", returns="None", family="attend"),
        "until is 'word', which may be no number: a text",
    ),
    "shallow": (
        card(f"touches=({_CONTROL}, depth=1),)", takes="edit: Edit", returns="None", family="attend"),
        "depth is 1, and it is a pair of shares",
    ),
}
