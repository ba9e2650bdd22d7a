"""What can be wrong with a model, said in one plain sentence."""

from __future__ import annotations


class UnknownModel(LookupError):
    """No model goes by this name.  what: is wrong, in one sentence; mend: what to name instead."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(f"{what}; {mend}")
        self.what, self.mend = what, mend


class BrokenModel(ValueError):
    """The model is known, but its files cannot be used."""


class MissingFile(BrokenModel):
    """A file that the model needs is not there."""


class NotFetched(BrokenModel):
    """The model is on the hub and not, or not wholly, on this machine."""

    def __init__(self, name: str, commit: str | None, *, in_part: bool = False) -> None:
        at = f" at {commit[:12]}" if commit else ""
        super().__init__(f"model '{name}'{at} is {'only in part' if in_part else 'not'} on this machine")
        self.command = f"retouch models get {name}{f'@{commit}' if commit else ''}"


class UnfitBeside(BrokenModel):
    """What was named beside a model, its base, its VAE or a LoRA, cannot be used.

    option: that of the `model` stage; text: what it was given, of several the one that is meant.
    """

    def __init__(self, option: str, text: str, why: BrokenModel | UnknownModel, mend: str) -> None:
        super().__init__(str(why))
        self.option, self.text, self.why, self.mend = option, text, why, mend
