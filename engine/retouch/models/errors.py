"""What can be wrong with a model, said in one plain sentence."""


class UnknownModel(LookupError):
    """No model goes by this name."""


class BrokenModel(ValueError):
    """The model is known, but its files cannot be used."""


class NotFetched(BrokenModel):
    """The model is on the hub and not yet on this machine."""
