"""Why a model cannot be fetched, and what to do."""


class CannotGet(Exception):
    """Nothing came, or not all; `mend` says what to do."""

    def __init__(self, what: str, mend: str) -> None:
        super().__init__(what)
        self.mend = mend
