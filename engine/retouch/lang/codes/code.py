"""What is kept for each diagnostic code."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Code:
    """One row of the table. Fields in braces are facts that whoever reports the code must give."""

    name: str
    message: str  # one sentence, lower case
    help: str  # what to type
    why: str  # for `retouch explain`
    example: str = ""  # a recipe that triggers it
    mend: str = ""  # the same, right
    severity: str = "error"
