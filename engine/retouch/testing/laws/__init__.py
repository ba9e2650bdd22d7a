"""The laws that stages keep, whoever wrote them.  What breaks one raises AssertionError, which says by how much.

    from retouch.testing.laws import stage_laws
    from my_plugin import my_inversion

    def test_it_keeps_the_laws():
        stage_laws(my_inversion, tolerance=1e-5)

`stage_laws` holds a stage to all laws of its family, `family_laws` a family of models; each is a function of its own.
"""

from retouch.testing.laws.all_of import stage_laws
from retouch.testing.laws.conduct import (
    batch_law,
    cards_law,
    facts_law,
    guided_rows_law,
    repeat_law,
    rows_law,
    untouched_law,
)
from retouch.testing.laws.device import device_law
from retouch.testing.laws.families import (
    blend_law,
    called_law,
    guidance_law,
    identity_law,
    mask_law,
    paste_law,
    pixels_law,
    replay_law,
    rule_law,
    source_law,
    touch_law,
)
from retouch.testing.laws.files import measure_law, output_law, picture_law
from retouch.testing.laws.leading import leading_law
from retouch.testing.laws.memory import memory_law
from retouch.testing.laws.models import family_laws
from retouch.testing.laws.turns import turn_law
from retouch.testing.laws.walks import schedule_law, solver_law, tune_law

__all__ = [
    "batch_law",
    "blend_law",
    "called_law",
    "cards_law",
    "device_law",
    "facts_law",
    "family_laws",
    "guidance_law",
    "guided_rows_law",
    "identity_law",
    "leading_law",
    "mask_law",
    "measure_law",
    "memory_law",
    "output_law",
    "paste_law",
    "picture_law",
    "pixels_law",
    "repeat_law",
    "replay_law",
    "rows_law",
    "rule_law",
    "schedule_law",
    "solver_law",
    "source_law",
    "stage_laws",
    "touch_law",
    "tune_law",
    "turn_law",
    "untouched_law",
]
