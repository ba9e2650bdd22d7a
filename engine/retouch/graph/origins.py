"""Where the value of an option comes from: the one table of precedence, nearest place first.

`check/wiring/precedence.py` asks the places in this order, `retouch plan` names the place behind each value, and
grammar/README.md shows the table; a test compares the three.
"""

from __future__ import annotations

from typing import NamedTuple


class Origin(NamedTuple):
    """A place that may give an option its value."""

    name: str  # as `Node.origin` and `retouch plan` say it
    place: str  # what the language page says of it


RECIPE = Origin("recipe", "the stage; for `steps`, `guidance` and `negative` any stage of its turn")
COMMAND_LINE = Origin("command line", "`--set name=value`, `--seed`")
DEFAULTS = Origin("defaults", "the recipe's `defaults` and `seed` lines")
MODEL_STAGE = Origin(
    "model for '…'", "`stages` of the model's card; for options of the turn the first of its stages there"
)
MODEL = Origin("model", "`defaults` of the model's card")
SIGNATURE = Origin("signature", "the default in the stage's signature")

PRECEDENCE = (RECIPE, COMMAND_LINE, DEFAULTS, MODEL_STAGE, MODEL, SIGNATURE)
