"""A part of a picture, taken out to be edited at a size of its own and to be put back."""

from __future__ import annotations

from dataclasses import dataclass

from retouch.core.rectangle import Rectangle
from retouch.core.values import Image, Mask


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """A box of a picture, and what is worked on instead of it.

    whole: the picture that the box is of, as it was then
    image: what the box shows, at the size that is edited
    mask: what of the box is to be edited, in pixels of `whole`
    outer: the window whose `image` this one's `whole` is, where one lies in another
    """

    whole: Image
    box: Rectangle
    image: Image
    mask: Mask
    outer: Window | None = None

    def __post_init__(self) -> None:
        tall, wide = self.whole.size
        if not (0 <= self.box.left < self.box.right <= wide and 0 <= self.box.top < self.box.bottom <= tall):
            raise ValueError(f"the box {tuple(self.box)} does not lie in a picture of {[tall, wide]}")
        if self.mask.data.shape != self.box.size:
            raise ValueError(f"the mask is {list(self.mask.data.shape)}, and the box {list(self.box.size)}")

    @property
    def scale(self) -> float:
        """Pixels of the edited picture for one of the whole: below 1 it was made smaller, above 1 larger."""
        return max(self.image.size) / max(self.box.size)

    @property
    def original(self) -> tuple[int, int]:
        """Height and width of the picture that the outermost window is of."""
        outermost = self
        while outermost.outer:
            outermost = outermost.outer
        return outermost.whole.size

    def seen(self, mask: Mask) -> Mask:
        """What a mask of the outermost picture's pixels covers of this window, at the size that is edited."""
        whole = self.outer.seen(mask) if self.outer else mask
        return Mask(whole.part(self.box)).resized(*self.image.size)
