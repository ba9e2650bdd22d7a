"""A prompt as a model reads it."""

from __future__ import annotations

from dataclasses import dataclass

Spans = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Tokens:
    """A prompt as an encoder reads it: what precedes it, its words, what follows, padding."""

    ids: tuple[int, ...]
    spans: Spans  # of each token in the prompt; (0, 0) for tokens that spell nothing of it
    pieces: tuple[str, ...]  # the text of each span
    dropped: str  # what of the prompt does not fit, from the first word that is not read whole
    real: int  # tokens before the padding

    @property
    def read(self) -> int:
        """How many tokens of the prompt itself are read."""
        return sum(start < end for start, end in self.spans)

    def without(self, cut: int) -> Tokens:
        """The same without its first tokens."""
        return Tokens(self.ids[cut:], self.spans[cut:], self.pieces[cut:], self.dropped, self.real - cut)
