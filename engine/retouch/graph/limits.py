"""How much a recipe may ask for: checked before any work, and shown by `retouch plan`."""

from __future__ import annotations

from collections.abc import Mapping

from retouch.graph.ports import STEPS
from retouch.lang.source import LIMIT_DEPTH, LIMIT_LENGTH

MOST_STAGES = 200  # of one flow
MOST_VARIANTS = 1000  # of one result
MOST_FILES = 10_000  # that one pattern matches
ROWS_A_CALL = 32  # of the denoiser; the executor's largest bucket
EXACT_ROWS = 8  # of every call in exact mode, however few are asked for


def limits() -> Mapping[str, int]:
    """Return every limit that does not depend on the model, by name."""
    from retouch.pictures import MAX_PIXELS

    return {
        "bytes": LIMIT_LENGTH,
        "nesting": LIMIT_DEPTH,
        "stages": MOST_STAGES,
        "variants": MOST_VARIANTS,
        "files": MOST_FILES,
        "steps": int(STEPS.kind.high or 0),
        "pixels": MAX_PIXELS,
        "rows_a_call": ROWS_A_CALL,
    }
