"""Types of ports that the engine itself gives a meaning to; all others are made and taken by stages alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from retouch.plugins.signatures import Kind, Option, StageCard

PROMPTS = frozenset({"SourcePrompt", "TargetPrompt", "NegativePrompt", "Edit"})
MODEL = frozenset({"Denoiser", "Codec", "TextEncoder"})
SHARED = frozenset({"Sheet", "Figures"})  # one file for many results
WRITERS = SHARED | {"Outbox"}
TRAINING = "TrainingPictures"  # those that the option `pictures` names, or the turn's own
FOLDER = "Folder"  # the one that the option `path` names, opened as one thing
TENSORS = "TensorFiles"  # the safetensors file that the option `path` names, as its plugin describes it
# What reads the file that the option `path` names.
READERS = frozenset({"Pictures", "Adapters", "TunedWeights", FOLDER, TENSORS})
FILES = WRITERS | {"Pictures"}
TURN = "Turn"  # a flow as a value, which the stage gives pictures to
SUPPLIED = PROMPTS | MODEL | FILES | READERS | {"Schedule", "NoiseSource", "Weights", "Pretrained"}
SUPPLIED |= {TURN, TRAINING, "TrainingLog", "Checkpoints", "Notices"}

# Networks that look at pictures: loaded once, and the same for every picture.
EYES = frozenset({"ImageText", "VisionTokens", "Perceptual"})

# What the engine supplies where no stage of the flow has made one.
MADE_OR_SUPPLIED = PROMPTS | MODEL | {"Schedule"}
# Made from the model, so of no use to another.
OF_A_MODEL = MODEL | {"Schedule"}

# Both stand for the picture as it is now; a stage may ask for either.
PICTURE = frozenset({"Image", "Latents"})
CANDIDATES = "Candidates"  # several pictures that one was made into, before one of them is chosen
FRAME = "Frame"  # either of them, whichever is there
PICTURE_AXIS = "picture"  # what tells the pictures apart in a file of many


def of_folders(cards: Iterable[StageCard]) -> frozenset[str]:
    """Return the types whose values come of all that a folder holds: no stage makes one of anything else."""
    makers: dict[str, list[StageCard]] = {}
    for card in cards:
        if card.output and card.output not in SUPPLIED:
            makers.setdefault(card.output, []).append(card)
    found, before = frozenset(makers), frozenset[str]()
    while found != before:
        before = found
        found = frozenset(type_ for type_ in before if all(works_on_folders(card, before) for card in makers[type_]))
    return found


def works_on_folders(card: StageCard, types: Collection[str]) -> bool:
    """Return whether a stage opens a folder, or cannot do without a value of one of these types."""
    return bool(card.folder) or any(port.type in types and not (port.optional or port.many) for port in card.ports)


# Options that belong to the turn, and the ports that make a stage accept them.
STEPS = Option("steps", "steps", Kind("int", 1, 1000, unit="steps"), 50)
GUIDANCE = Option("guidance", "guidance", Kind("float", 0, 100), 7.5)
NEGATIVE = Option("negative", "negative", Kind("text"), "")
SEED = Option("seed", "seed", Kind("int", 0, 2**32 - 1), 0)
_ASKS_FOR = {"Schedule": STEPS, "Guidance": GUIDANCE, "NegativePrompt": NEGATIVE, "Edit": NEGATIVE}
CAPTION = Option("caption", "caption", Kind("text"))


def turn_options(card: StageCard) -> dict[str, Option]:
    """Return the options of the turn that may be written on this stage."""
    asked = [_ASKS_FOR[port.type] for port in card.ports if port.type in _ASKS_FOR]
    return {option.name: option for option in asked if card.option(option.name) is None}


def options(card: StageCard) -> dict[str, Option]:
    """Return every option that may be written on a stage: its own, and those of its turn."""
    caption = {"caption": CAPTION} if card.family == "open" else {}
    return {option.name: option for option in card.options} | turn_options(card) | caption
