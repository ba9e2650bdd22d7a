"""Why a picture ends though no stage is at fault: something that is required is not there."""

from __future__ import annotations


class Unmet(Exception):
    """A requirement that does not hold: the picture fails with it, unless `first(…)` has another way.

    metric: what was measured, as a recipe names it.
    value: what it came to, with its unit.
    wanted: what the recipe asks for, such as "30 dB or more".
    """

    def __init__(self, metric: str, value: str, wanted: str) -> None:
        super().__init__(f"'{metric}' is {value}, and {wanted} was required")
        self.metric, self.value, self.wanted = metric, value, wanted


class NothingMasked(Exception):
    """A mask that edits nothing, where a stage has to know where to edit."""


class NothingLifted(Exception):
    """No part of a field that may change.

    what: why, after the stage's name; where masks of views meet nowhere in space, unless it says otherwise.
    mend: what to do.
    """

    def __init__(
        self,
        what: str = "finds no place in the field that enough views take into their masks",
        mend: str = "look at the masks, or let a smaller share of the views decide: share=0.5",
    ) -> None:
        super().__init__(what)
        self.what, self.mend = what, mend


class NothingOpaque(Exception):
    """A field in which nothing is as opaque as a surface has to be.

    asked, most: share of the light that a voxel takes, as the recipe wants it and at most in the field.
    """

    def __init__(self, asked: float, most: float) -> None:
        super().__init__(f"nothing in the field is as opaque as {asked:g}; its most is {most:.2g}")
        self.asked, self.most = asked, most


class SameToTheModel(Exception):
    """An edit whose two prompts are one and the same to what reads them, although their texts differ.

    why: what follows "both prompts are the same" in the message, such as ", since …"; mend: what to write instead.
    """

    def __init__(self, why: str = "", mend: str = "use other words") -> None:
        super().__init__(f"to the model both prompts are the same{why}")
        self.why, self.mend = why, mend


class UnfitSize(Exception):
    """A picture of another size than the one that a stage takes.

    size: height and width of the picture in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__("the stage takes pictures of another size, {1} by {0} pixels was given".format(*size))
        self.size = size


class TooLarge(Exception):
    """A part of a large picture of which no numbers are made, since memory would not hold what works on them.

    count: its pixels.
    """

    def __init__(self, count: int) -> None:
        super().__init__(f"numbers of {count:,} pixels are wanted at once")
        self.count = count


class Diverged(Exception):
    """A tuning whose loss is no number any more.

    step: the step of training that came to it.
    """

    def __init__(self, step: int) -> None:
        super().__init__(f"the loss of step {step} is not finite")
        self.step = step


class BrokenTouch(Exception):
    """A control that does what its touches do not say.

    module: where the function is from.
    """

    def __init__(self, what: str, module: str) -> None:
        super().__init__(what)
        self.module = module


class ForeignAwait(Exception):
    """A stage that waits for what the executor does not know: asyncio, a plain generator, an own awaitable."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"it awaits {what}, and a stage may await model(…), together(…), gather(…), value_and_grad(…), call(…), "
            "hold(…) and other stages; asyncio has no loop here"
        )
