"""The edits: held-out scenes before and after, spread evenly over the kinds of PIE-Bench that the world can express.

Ju et al. 2023, arXiv:2310.01506, section 5.  Pose, content and material have no attribute in this world.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from random import Random

from retouch_storybook.world import (
    ACCESSORIES,
    ANIMALS,
    COLORS,
    FIRST_UNSEEN_SEED,
    SETTINGS,
    STYLES,
    SUBJECTS,
    Scene,
    held_out_scenes,
)

ATTRIBUTES = ("subject", "color", "setting", "accessory", "style")
COLORLESS = "sketch"  # a pencil sketch shows no colour, so that none can be asked of it


@dataclass(frozen=True, slots=True)
class HeldOutEdit:
    """A scene that training never saw, and the same scene changed; the drawings of both are the exact answer."""

    index: int
    kind: str
    before: Scene
    after: Scene

    @property
    def name(self) -> str:
        return f"{self.index:03d}-{self.kind.replace(' ', '-')}"

    @property
    def asked(self) -> tuple[str, ...]:
        """The attributes that change."""
        return tuple(name for name in ATTRIBUTES if getattr(self.before, name) != getattr(self.after, name))

    @property
    def kept(self) -> tuple[str, ...]:
        """The attributes that should stay, of those that can be seen in the truth."""
        unseen = ("color",) if self.after.style == COLORLESS else ()
        return tuple(name for name in ATTRIBUTES if name not in (*self.asked, *unseen))

    @property
    def change(self) -> str:
        """The edit as a recipe writes it, which turns one caption into the other."""
        return " ".join(f'"{old}"->"{new}"' if new else f'-"{old}"' for old, new in _changes(self.before, self.after))

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the first caption for what is changed, taken away or added to."""
        return tuple(old for old, _ in _changes(self.before, self.after))

    @property
    def added(self) -> tuple[str, ...]:
        """What the second caption says and the first does not."""
        return tuple(new.removeprefix(old).strip() for old, new in _changes(self.before, self.after) if new)

    @property
    def removed(self) -> tuple[str, ...]:
        """What the first caption says and the second does not."""
        return tuple(old for old, new in _changes(self.before, self.after) if not new.startswith(f"{old} "))


def held_out_edits(count: int, seed: int = 0) -> list[HeldOutEdit]:
    """The first edits of an endless list, in which the kinds take turns; more edits never change those before."""
    kinds = list(KINDS)
    return [_edit(index, kinds[index % len(kinds)], seed) for index in range(count)]


def _edit(index: int, kind: str, seed: int) -> HeldOutEdit:
    rng = Random(f"retouch bench {seed} {index}")
    before, after = KINDS[kind](rng)
    return HeldOutEdit(index, kind, before, after)


HELD_OUT = held_out_scenes()


def _scene(rng: Random, *, animal: bool = False) -> Scene:
    """A held-out scene without accessory or style, in a place and with details of its own."""
    scenes = [scene for scene in HELD_OUT if scene.subject in ANIMALS or not animal]
    return replace(rng.choice(scenes), seed=FIRST_UNSEEN_SEED + rng.getrandbits(31))


def _dressed(rng: Random, scene: Scene) -> Scene:
    """The scene as drawings of this world are: half of the animals wear something."""
    wears = scene.subject in ANIMALS and rng.random() < 0.5
    return replace(scene, accessory=rng.choice(tuple(ACCESSORIES))) if wears else scene


def _other(rng: Random, values: tuple[str, ...], value: str | None) -> str:
    return rng.choice([each for each in values if each != value])


def _other_subject(rng: Random, scene: Scene) -> Scene:
    """Who wears something stays an animal."""
    return replace(scene, subject=_other(rng, ANIMALS if scene.accessory else SUBJECTS, scene.subject))


def _change_object(rng: Random) -> tuple[Scene, Scene]:
    before = _dressed(rng, _scene(rng))
    return before, _other_subject(rng, before)


def _add(rng: Random) -> tuple[Scene, Scene]:
    before = _scene(rng, animal=True)
    return before, replace(before, accessory=rng.choice(tuple(ACCESSORIES)))


def _delete(rng: Random) -> tuple[Scene, Scene]:
    after, before = _add(rng)
    return before, after


def _change_color(rng: Random) -> tuple[Scene, Scene]:
    before = _dressed(rng, _scene(rng))
    return before, replace(before, color=_other(rng, COLORS, before.color))


def _background(rng: Random) -> tuple[Scene, Scene]:
    before = _dressed(rng, _scene(rng))
    return before, replace(before, setting=_other(rng, SETTINGS, before.setting))


def _style(rng: Random) -> tuple[Scene, Scene]:
    before = _dressed(rng, _scene(rng))
    return before, replace(before, style=rng.choice(tuple(STYLES)))


def _several(rng: Random) -> tuple[Scene, Scene]:
    """Two or three of subject, colour and setting at once."""
    before = _dressed(rng, _scene(rng))
    changes: Mapping[str, Callable[[Scene], Scene]] = {
        "subject": lambda scene: _other_subject(rng, scene),
        "color": lambda scene: replace(scene, color=_other(rng, COLORS, scene.color)),
        "setting": lambda scene: replace(scene, setting=_other(rng, SETTINGS, scene.setting)),
    }
    after = before
    for name in rng.sample(list(changes), rng.choice((2, 3))):
        after = changes[name](after)
    return before, after


KINDS: Mapping[str, Callable[[Random], tuple[Scene, Scene]]] = {
    "change object": _change_object,
    "add": _add,
    "delete": _delete,
    "change color": _change_color,
    "background": _background,
    "style": _style,
    "several": _several,
}


def _changes(before: Scene, after: Scene) -> Iterator[tuple[str, str]]:
    """The words that change, and what they become; nothing where they are taken away."""
    if before.color != after.color:
        old, new = _article(before), _article(after)
        yield (before.color, after.color) if old == new else (f"{old} {before.color}", f"{new} {after.color}")
    added = f" {ACCESSORIES[after.accessory]}" if after.accessory and not before.accessory else ""
    if before.subject != after.subject or added:
        yield before.subject, after.subject + added
    if before.accessory and not after.accessory:
        yield ACCESSORIES[before.accessory], ""
    styled = f" {STYLES[after.style]}" if after.style and not before.style else ""
    if before.setting != after.setting or styled:
        yield before.setting, after.setting + styled


def _article(scene: Scene) -> str:
    return scene.caption().partition(" ")[0]
