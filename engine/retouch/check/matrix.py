"""Every pair of methods as a recipe, and whether it works: what `retouch matrix` writes down and the tests run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations_with_replacement, product

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.graph.nodes import Graph
from retouch.paths import folder
from retouch.plugins.registry import Registry
from retouch.plugins.signatures import Option, StageCard

FAMILIES = ("schedule", "invert", "solver", "guide", "attend", "mask", "blend", "crop")  # in the order of the page
ONE_A_TURN = (
    "schedule",
    "invert",
    "solver",
    "guide",
    "crop",
)  # two inversions make two turns, two solvers are one too many
UNPAIRED = {  # families that make no rows here, and why
    "open": "begins every flow",
    "encode": "is put in wherever a stage works on latents",
    "decode": "is put in wherever a stage works on the picture",
    "sample": "ends every turn",
    "view": "is put in behind `crop`, and where a stage made the prompts",
    "paste": "ends what `crop` began, and stands in each of its recipes",
    "save": "writes whatever picture, mask or latents there are",
    "sheet": "lays out whatever pictures there are",
    "match": "brings back what any edit left alone in broad areas",
    "measure": "compares whatever picture there is with its source",
    "distil": "edits without a walk; a test runs it with every mask, guidance and schedule",
    "require": "measures an inversion and hands it on unchanged",
    "eye": "is looked through by the guidances that name it",
    "tiles": "runs a flow in brackets on parts of the picture, whatever stands in it",
    "repaint": "runs a flow in brackets again and again, whatever stands in it",
    "draw": "runs a flow in brackets several times, whatever stands in it",
    "rank": "chooses among what `draw` made",
    "surround": "is for what a flow edits part by part",
    "upscale": "makes whatever picture there is larger",
    "gan": "edits by networks of its own, beside any turn",
    "tune": "wants a file of its own; a test runs it with every method that works here",
}
CAPTION = "an orange cat in a meadow"
EDIT = '"cat"->"dog"'
MASK = "pictures/cat_meadow_mask.png"
CLASH = "RT310"
UNREAD = "RT221"  # a warning to whoever writes a recipe; to a pair it says that the two never meet
SOFT = "mask box right=70% bottom=70% | mask feather pixels=4"  # a mask on which every change of a mask shows
OTHERS = {"area": "mask box left=40% bottom=60%", "rest": "mask box left=50% top=50%"}  # for ports of a second mask
# For what is led by a network that looks at pictures.
EYES = {"ImageText": 'eye clip "storybook"', "VisionTokens": 'eye vit "storybook"'}
LEVELS = "[900, 500, 100]"  # for numbers of which a method wants a list
NEEDED = {"mask box": "left=60% top=30%"}  # what a method changes nothing without


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of some stages together.  Without a code they run, and these are the graphs that do.

    only_with: the option that keeps two controls apart, where by default they clash
    idle: the one that changes nothing beside the other, by name
    """

    stages: tuple[StageCard, ...]
    recipe: str
    graphs: tuple[Graph, ...] = ()
    code: str = ""
    reason: str = ""
    only_with: str = ""
    idle: str = ""

    @property
    def name(self) -> str:
        return " + ".join(card.name for card in self.stages)

    @property
    def works(self) -> bool:
        """Whether they run, and each of them changes the result."""
        return not self.code and not self.idle


def pairs(registry: Registry) -> Iterator[tuple[StageCard, StageCard]]:
    """Return each method with each of every other family, and in either order with the others of its own."""
    for one, other in combinations_with_replacement(FAMILIES, 2):
        both = product(methods(registry, one), methods(registry, other))
        if one != other:
            yield from both
        elif one not in ONE_A_TURN:
            yield from ((a, b) for a, b in both if a != b)


def unpaired(registry: Registry) -> dict[str, str]:
    """Why each family has no rows that has none: of a plugin's own, no recipe is known that would join it to others."""
    families = {card.family: card.plugin for card in reversed(registry.cards)}
    why = {family: UNPAIRED.get(family, f"is a family of '{plugin}'s own") for family, plugin in families.items()}
    return {family: why[family] for family in sorted(families.keys() - {*FAMILIES})}


def triples(registry: Registry) -> Iterator[tuple[StageCard, ...]]:
    """Return each inversion with each control, guidance or mask, and each blend."""
    between = [card for family in ("guide", "attend", "mask") for card in methods(registry, family)]
    yield from product(methods(registry, "invert"), between, methods(registry, "blend"))


def judged(stages: tuple[StageCard, ...], world: Environment, added: Mapping[str, str] | None = None) -> Verdict:
    """Check the recipe that joins these stages; controls that clash may have a part that does not."""
    said = added or {}
    plain = _judged(stages, world, said)
    if plain.code == CLASH:
        for card, option in _windows(stages):
            apart = _judged(stages, world, {**said, card.name: f"{said.get(card.name, '')} {option}=0".lstrip()})
            if not apart.code:
                return replace(apart, only_with=f"{card.name} {option}=0", idle=idle_pairs().get(apart.name, ""))
    return plain if plain.code else replace(plain, idle=idle_pairs().get(plain.name, ""))


@cache
def idle_pairs() -> Mapping[str, str]:
    """Which method changes nothing in which pair: a run has found them, and a test finds them again."""
    lines = (folder("recipes") / "idle_pairs.txt").read_text("utf-8").splitlines()
    return dict(line.split(": ") for line in lines)


def _judged(stages: tuple[StageCard, ...], world: Environment, added: Mapping[str, str]) -> Verdict:
    recipe = written(stages, added)
    checked = check(recipe, world)
    wrong = [*checked.errors, *(found for found in checked.diagnostics if found.code == UNREAD)]
    if wrong and wrong[0].code == UNREAD:
        unread = (stages[0].output or "").lower()
        return Verdict(stages, recipe, code=UNREAD, reason=f"beside '{stages[-1].name}' nothing reads the {unread}")
    if wrong:
        return Verdict(stages, recipe, code=wrong[0].code, reason=wrong[0].label or wrong[0].message)
    return Verdict(stages, recipe, checked.graphs)


def _windows(stages: Iterable[StageCard]) -> Iterator[tuple[StageCard, str]]:
    """Options that say how long a part of a control acts, where it has other parts."""
    for card in stages:
        options = {option.parameter: option.name for option in card.options}
        bounds = {touch.until for touch in card.touches if isinstance(touch.until, str)}
        yield from ((card, options[bound]) for bound in sorted(bounds) if len(bounds) > 1)


def written(stages: Iterable[StageCard], added: Mapping[str, str] | None = None) -> str:
    """Return the least recipe in which these stages meet: what they need besides is an inversion, a mask or a blend.

    added: what else is written on a stage, by its name
    """
    chosen = sorted(stages, key=lambda card: FAMILIES.index(card.family))
    by_family = {family: [card for card in chosen if card.family == family] for family in FAMILIES}
    said, lines = added or {}, list[str]()
    masks = list(_masks(by_family["mask"], lines, said))
    crops, schedules, solvers, blends = (
        [_stage(card, said) for card in by_family[family]] for family in ("crop", "schedule", "solver", "blend")
    )
    takes_mask = any(card.takes("Mask") for family in ("guide", "attend", "blend") for card in by_family[family])
    if (takes_mask or crops) and not masks:
        masks = ["mask box right=70%"]
    if masks and not (blends or crops):
        blends = ["blend latent"]
    inversions = [_stage(card, said) for card in by_family["invert"]] or [f"invert ddim {EDIT}"]
    between = [eye for type_, eye in EYES.items() if any(card.takes(type_) for card in stages)]
    between += [_stage(card, said) for family in ("guide", "attend") for card in by_family[family]]
    # A control may take the mask, so masks stand before it; a window is cut round the mask before all else.
    turn = [*inversions, *solvers, *([] if crops else masks), *between, *blends]
    flow = " | ".join([*(masks if crops else []), *crops, *schedules, *turn, *(["paste"] if crops else [])])
    return "\n".join([*lines, flow]) + "\n"


def _masks(cards: list[StageCard], lines: list[str], said: Mapping[str, str]) -> Iterator[str]:
    """Masks one after the other; of two that are made of nothing, the first is joined to the second by name."""
    names = iter(OTHERS)
    others = [next(names) if _second_mask(card) else "" for card in cards]
    lines += [f"{name} = {OTHERS[name]}" for name in others if name]
    stages = [_stage(card, said, other) for card, other in zip(cards, others, strict=True)]
    if len(cards) > 1 and not cards[-1].takes("Mask"):
        lines.append(f"first = {SOFT} | {stages[0]}" if cards[0].takes("Mask") else f"first = {stages[0]}")
        yield stages[-1]
        yield "mask union other=first"
        return
    if cards and cards[0].takes("Mask"):
        yield SOFT
    yield from stages


def _second_mask(card: StageCard) -> str:
    """Return the name of a port for a second mask, which is given by option."""
    named = [port.name for port in card.ports if port.type == "Mask" and not port.optional][1:]
    return named[0] if named else ""


def _stage(card: StageCard, added: Mapping[str, str], other: str = "") -> str:
    """A stage with what it cannot do without, and what is added."""
    said = [EDIT] if card.operand == "edit" else []
    said += [f"{option.name}={_value(option)}" for option in card.options if option.required]
    if other:
        said.append(f"{_second_mask(card)}={other}")
    more = [text for text in (NEEDED.get(card.name), added.get(card.name)) if text]
    return " ".join([card.name, *said, *more])


def _value(option: Option) -> str:
    """Something that an option may be given, for the picture that the caption is about."""
    if option.kind.choices:
        return f'"{option.kind.choices[0]}"'
    if option.kind.type != "text":
        return LEVELS if option.kind.many else f"{option.kind.low or 0:g}"
    text = {"path": f'"{MASK}"', "name": '"#e88020"'}.get(option.name, '"cat"')
    return f"[{text}]" if option.kind.many else text


def methods(registry: Registry, family: str) -> list[StageCard]:
    """Return all methods of a family, by name."""
    cards = [card for card in registry.cards if card.family == family]
    return sorted(cards, key=lambda card: card.method)
