"""What a stage demands of its options, as plain data: the check reads it without torch, before any work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Need:
    """What has to hold of a stage's options together; one option's own bounds stand in its type.

    holds: an expression as for `rows`, over options, ports (whether something goes in), `steps` and facts.
    what: what is wrong where it does not hold, after the stage's name; {expression} is filled in.
    mend: what to write instead; filled in likewise.
    """

    holds: str
    what: str
    mend: str


@dataclass(frozen=True, slots=True)
class Moot:
    """An option that nothing reads under some values of others; to give it then is told.

    option: its name, as recipes write it.
    where: an expression as for `rows`, true where nothing reads it.
    why: what decides instead, as half a sentence.
    """

    option: str
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class WordsOf:
    """Says that an option names words of a prompt, which have to stand in it: `Annotated[str, WordsOf("target")]`.

    of: the "source" prompt, the "target" prompt, or "either".
    """

    of: Literal["source", "target", "either"]
