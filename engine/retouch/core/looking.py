"""How pictures are compared with texts, by what an image-text model sees: losses, scores, and what it is shown.

Copies of a picture that a network looks at in place of the one: a gradient that fools it on one fools it on few
(Avrahami et al. 2022, arXiv:2111.14818, sec. 4.2; the amounts are those of the authors' code).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.awaited.combinators import gather, on_host
from retouch.core.device.ordered import bilinear, looked_up
from retouch.core.device.transfer import upload
from retouch.core.errors import SameToTheModel
from retouch.core.eyes import ImageText
from retouch.core.values import Mask, NoiseSource

# How far copies may differ, each drawn evenly up to that: degrees; a share of the side; of the corners, a share of half
# a side; and how often they are turned and shifted, and slanted, at all.
TURN, SHIFT, SLANT, OFTEN = 15.0, 0.1, 0.7, 0.7


def copies(picture: Tensor, side: int, count: int, noise: NoiseSource, spread: float = 1.0) -> Tensor:
    """The picture as it is, and count - 1 turned, shifted and slanted ones, by draws of this noise.

    [3, H, W] -> [count, 3, side, side]; what lies outside of the picture is black.
    spread: how far they differ, as a share of the authors' amounts.
    """
    maps = torch.stack([torch.eye(3, dtype=torch.float64)] + [_map(draw, spread) for draw in _even(noise, count - 1)])
    places = (torch.arange(side, dtype=torch.float64) * 2 + 1) / side - 1
    y, x = torch.meshgrid(places, places, indexing="ij")
    points = torch.stack((x, y, torch.ones_like(x)), -1)  # [side, side, 3]
    seen = points @ maps.transpose(1, 2)[:, None]  # [count, side, side, 3]
    # Places behind the horizon of a slanted picture would come back mirrored; so close to it they are far outside.
    grid = upload((seen[..., :2] / seen[..., 2:].clamp_min(1e-3)).to(picture.dtype), picture.device)
    # Shrunk before it is turned: sampling a large picture at few places would alias.
    return looked_up(bilinear(picture[None], (side, side), antialias=True)[0], grid)


async def looked_at(eye: ImageText, picture: Tensor, count: int, noise: NoiseSource, spread: float = 1.0) -> Tensor:
    """Where copies of a picture lie, as an eye sees them.  [3, H, W] -> [count, d], of length 1"""
    return torch.stack(await gather(map(eye.picture, copies(picture, eye.side, count, noise, spread))))


def _even(noise: NoiseSource, count: int) -> Tensor:
    """Numbers that are evenly spread in [0, 1].  [count, 13]"""
    if count < 1:
        return torch.zeros(0, 13, dtype=torch.float64)
    # Noise is keyed and normal everywhere; its distribution function makes it even.
    normal = noise.normal(count, like=torch.zeros(13)).double()
    return (1 + torch.erf(normal / math.sqrt(2))) / 2


def _map(draw: Tensor, spread: float) -> Tensor:
    """Where a place of the copy lies in the picture, in coordinates from -1 to 1.  [13] -> [3, 3]"""
    turn, right, down, whether_affine, whether_slant, *corners = draw.tolist()
    made = torch.eye(3, dtype=torch.float64)
    if whether_affine < OFTEN:
        angle = math.radians((2 * turn - 1) * spread * TURN)
        cos, sin = math.cos(angle), math.sin(angle)
        shifts = [(2 * each - 1) * 2 * spread * SHIFT for each in (right, down)]
        made = made.new_tensor([[cos, -sin, shifts[0]], [sin, cos, shifts[1]], [0, 0, 1]])
    if whether_slant < OFTEN:
        moved = made.new_tensor(corners).reshape(4, 2) * (spread * SLANT)
        made = _slanting(moved) @ made
    return made


def _slanting(moved: Tensor) -> Tensor:
    """The projection that takes each corner inward by these shares of half a side.  [4, 2] -> [3, 3]"""
    corners = moved.new_tensor([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    there = corners * (1 - moved)
    rows: list[Tensor] = []
    for (x, y), (u, v) in zip(corners.tolist(), there.tolist(), strict=True):
        rows.append(moved.new_tensor([x, y, 1, 0, 0, 0, -u * x, -u * y]))
        rows.append(moved.new_tensor([0, 0, 0, x, y, 1, -v * x, -v * y]))
    solved = torch.linalg.solve(torch.stack(rows), there.reshape(-1))
    return torch.cat((solved, solved.new_ones(1))).reshape(3, 3)


def inside(picture: Tensor, mask: Mask | None) -> Tensor:
    """The picture where it is edited, and black elsewhere; without a mask all of it.  [3, H, W] -> [3, H', W']"""
    if mask is None:
        return picture
    height, width = (min(side * mask.scale, of) for side, of in zip(mask.data.shape, picture.shape[-2:], strict=True))
    return picture[:, :height, :width] * mask.pixels(height, width).to(picture)


def text_apart(directions: Tensor, text: Tensor) -> Tensor:
    """Half of the squared angle between each and the text: CLIP guidance's spherical distance.  [n, d], [d] -> [n]"""
    half = (directions - text).norm(dim=-1) / 2
    # At 1 the slope of asin is infinite, and rounding may lead a hair beyond.
    return 2 * torch.asin(half.clamp(max=1 - 1e-6)).square()


def cosine_apart(directions: Tensor, text: Tensor) -> Tensor:
    """1 - the cosine of the angle between each and the text.  [n, d], [d], of length 1 -> [n]"""
    return 1 - directions @ text


async def text_direction(eye: ImageText, source: str, target: str, templates: Sequence[str] = ()) -> Tensor:
    """The direction from one text to another, averaged over sentences with _ where the text stands.

    -> [d], of length 1.  Raises SameToTheModel where both texts are read alike.
    """
    sentences = [each.replace("_", text) for text in (target, source) for each in (*templates,) or ("_",)]
    read = torch.stack(await gather(map(eye.text, sentences)))  # [2 n, d]
    there, here = read.unflatten(0, (2, -1))
    way = (there - here).mean(0)
    if not (await on_host(way)).any():
        raise SameToTheModel(", as the eye of this turn reads them", "use words that it knows")
    return F.normalize(way, dim=0)


def direction_apart(now: Tensor, source: Tensor, wanted: Tensor, least: float = 1e-7) -> Tensor:
    """1 - the cosine of how a picture has changed with how it is to change: 0 where it changed so, 2 at the reverse.

    now, source: Tensor  # [n, d], where both pictures lie, of length 1
    wanted: Tensor  # [d], of length 1
    least: what is added to how far a picture has changed.  Where it begins unchanged a way has no direction yet, and
        the slope there is 1 / least.
    -> [n]
    """
    moved = now - source
    return 1 - (moved / (moved.norm(dim=-1, keepdim=True) + least)) @ wanted


def places_apart(keys: Tensor, others: Tensor) -> Tensor:
    """1 - the cosine of what two pictures have at each place, on average.  [..., n, d] twice -> []"""
    return (1 - F.cosine_similarity(keys, others, dim=-1)).mean()
