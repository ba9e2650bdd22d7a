"""Several draws of a flow in brackets, for `rank` to choose from: of the picture as it is, and mirrored."""

from typing import Annotated

from retouch.api import Candidates, Image, Mask, Range, Turn, Turned, gather, hookimpl, on_host, stage


@stage("draw", "newcomer", rows="(0 if mask else turn * 2 * each, turn * 2 * each)", facts={"draws": "2 * each"})
async def newcomer(
    image: Image, turn: Turn, mask: Mask | None = None, *, each: Annotated[int, Range(1, 64, "draws")] = 2
) -> Candidates:
    """Send the picture through a flow as it is and mirrored, with other noise each time.

    each: draws of either.
    """
    area = None if mask is None else Mask(mask.pixels(*image.size).to(image.data))  # [H, W]
    if area is not None and not await on_host(area.data.any()):
        return Candidates((Turned(image, area),) * (2 * each), area)  # nothing is to change, so nothing is asked

    async def drawn(number: int, sides: list[int]) -> Turned:
        given = Image(image.data.flip(sides))  # [3, H, W]
        part = None if area is None else Mask(area.data.flip(sides))
        made = await turn(given, mask=part, key=f"{'mirrored' if sides else 'draw'}{number}")
        return Turned(Image(made.image.data.flip(sides), image.alpha), area)

    made = await gather(drawn(number, sides) for sides in ([], [-1]) for number in range(each))
    return Candidates(tuple(made), area)


@hookimpl
def retouch_stages():
    """What this distribution adds."""
    return [newcomer]
