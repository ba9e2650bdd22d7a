"""What is compared: every inversion and every editor that is registered, as recipes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

from retouch.api.checking import Registry, StageCard
from retouch_bench.edits import HeldOutEdit

P2P, DIFFEDIT = "attend p2p", "mask diffedit"
BASE = {P2P: " | attend p2p", DIFFEDIT: " | mask diffedit | blend latent"}
ALONE = {"none": ""}
PROMPTS = ("Edit", "SourcePrompt", "TargetPrompt")
_FOUND = "invert edit_friendly {change} | mask diffedit"
_BLENDED = "blend latent | blend pixel"
_BEST = (  # Blended Diffusion, arXiv:2111.14818: two draws, led by the eye, of which the better one is kept
    'draw (invert sdedit {change} strength=90% begin="noise" | guide image_text weight=WEIGHT sees="picture" looks=4'
    f' | solver ddpm | {_BLENDED}) seeds=2 | rank image_text sees="picture" looks=8'
)
LED = (  # recipes led by gradients, and Prompt-to-Prompt beside them
    f"{_FOUND} | {_BLENDED}",
    f"{_FOUND} | guide image_text weight=200 | {_BLENDED}",
    f'{_FOUND} | guide image_text weight=200 through="x0" | {_BLENDED}',
    f"{_FOUND} | guide direction weight=200 | {_BLENDED}",
    "invert sdedit {change} | mask diffedit | guide keep | guide identity weight=20",
    "invert sdedit {change} strength=80% | guide structure | solver ddpm",
    f"mask diffedit {{change}} | {_BEST.replace('WEIGHT', '200')}",
    f'mask diffedit {{change}} | model "storybook_pixels" | {_BEST.replace("WEIGHT", "500")}',
    # DiffuseIT, arXiv:2209.15264
    'model "storybook_pixels" | invert sdedit {change} strength=50%'
    ' | guide image_text weight=300 distance="cosine" less_source=0.4 more_picture=0.2 sees="picture" looks=2'
    " | guide structure weight=1000 contrast=20 | guide appearance away=1 | guide range weight=200 attempts=3"
    " | solver ddpm first=3",
    "invert ddim {change} | attend p2p",
)
GIVEN = "given"  # in place of an inversion's name: a recipe that somebody wrote


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the table.

    recipe: its `{change}` stands for the edit, its `{target}` for the caption of the truth, and `{words}`, `{added}`
        and `{removed}` for lists of the edit's words.
    picture: what it is run on.
    """

    inversion: str
    editor: str
    recipe: str
    picture: Literal["source", "truth", "blank"] = "source"

    @property
    def file(self) -> str:
        """The name of its result in the folder of an edit."""
        told = hashlib.sha256(self.recipe.encode()).hexdigest()[:12] if self.inversion == GIVEN else self.editor
        return "-".join(f"{self.inversion} {told}".split()) + ".png"

    def flow(self, edit: HeldOutEdit) -> str:
        """Its recipe for one edit, up to the file."""
        lists = {"words": edit.words, "added": edit.added, "removed": edit.removed}
        told = {name: json.dumps(words) for name, words in lists.items()}
        told |= {"change": edit.change, "target": json.dumps(edit.after.caption())}
        text = reduce(lambda text, name: text.replace(f"{{{name}}}", told[name]), told, self.recipe)
        return f'{text} | save "{self.file}"' if text else f'save "{self.file}"'


NOTHING = Entry("bound", "doing nothing", "")
CODEC = Entry("bound", "the truth through the VAE", "encode | decode", "truth")
TEXT = Entry("bound", "text to image", "invert sdedit {target} strength=100%", "blank")
BOUNDS = (NOTHING, CODEC, TEXT)


def pair(inversion: str, editor: str, stages: str) -> Entry:
    """An inversion with an editor."""
    return Entry(inversion, editor, f"invert {inversion} {{change}}{stages}")


def given(recipes: Sequence[str]) -> list[Entry]:
    """Recipes that somebody wrote, each a line of the table."""
    return [Entry(GIVEN, recipe, recipe) for recipe in dict.fromkeys(recipes)]


def with_every_inversion(registry: Registry) -> list[Entry]:
    """Every inversion with Prompt-to-Prompt, and with DiffEdit's mask and blend."""
    return [pair(inversion, *editor) for inversion in registry.methods("invert") for editor in BASE.items()]


def with_chosen_inversions(registry: Registry, inversions: Sequence[str]) -> list[Entry]:
    """Every other editor with these inversions."""
    return [pair(inversion, *editor) for inversion in inversions for editor in editors(registry).items()]


def editors(registry: Registry) -> dict[str, str]:
    """Every editor besides the two that each inversion gets, and what a recipe writes for it after the inversion."""
    found = {card.name: text for card in registry.cards for text in _editing(card)}
    return ALONE | {name: text for name, text in found.items() if name not in BASE}


def _editing(card: StageCard) -> Iterator[str]:
    """How a stage edits, if it is one that does."""
    masked = any(port.type == "Mask" for port in card.ports)
    match card.family:
        case "attend" if masked:
            yield f" | {DIFFEDIT} | {card.name} | blend latent"
        case "attend":
            yield f" | {card.name}"
        case "guide" if not card.default:
            yield f" | {card.name}{_told(card)}"
        case "mask" if not masked and card.takes(*PROMPTS):
            yield f" | {card.name}{_told(card)} | blend latent"
        case "blend" if card.output == "Image":
            yield f"{BASE[DIFFEDIT]} | {card.name}"
        case "blend" if masked and not card.default:
            yield f" | {DIFFEDIT} | {card.name}"
        case "blend" if not masked:
            yield f"{BASE[P2P]} | {card.name}"
        case _:
            return


def _told(card: StageCard) -> str:
    """What has to be said of the edit: words that a stage cannot do without, and concepts that it adds and removes."""
    names = {option.name: option for option in card.options}
    said = " words={words}" if "words" in names and names["words"].required else ""
    return f"{said} add={{added}} remove={{removed}}" if {"add", "remove"} <= set(names) else said
