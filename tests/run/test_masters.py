"""Where weights that are moved stand: on the card where it holds them, with what moving takes; else in host memory."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from retouch.core.tuned import optim
from retouch_methods.tune.tensors import Whole

UNET, CROSS = 859_520_964, 43_962_560  # weights of Stable Diffusion 1.5, of all and of attention to the prompt


def given(numbers: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """A card's tensors, as far as they are asked: their size, precision and place."""
    size = torch.empty(0, dtype=dtype).element_size()
    places: list[torch.device] = []

    def to(place: torch.device, dtype: torch.dtype) -> torch.device:
        assert dtype == torch.float32
        places.append(place)
        return place

    card = SimpleNamespace(device=torch.device("cuda", 0), dtype=dtype, to=to)
    card.numel, card.element_size = lambda: numbers, lambda: size
    return [card]  # pyright: ignore[reportReturnType]


@pytest.mark.parametrize(
    ("moved", "gigabytes", "dtype", "where"),
    [(UNET, 12, torch.float16, "cpu"), (UNET, 16, torch.float16, "cpu"), (UNET, 24, torch.float16, "cuda"),
     (UNET, 24, torch.float32, "cuda"), (UNET, 16, torch.float32, "cpu"), (CROSS, 6, torch.float16, "cuda")],
)  # fmt: skip
def test_all_weights_of_stable_diffusion_are_moved_in_host_memory_on_a_small_card(
    moved: int, gigabytes: int, dtype: torch.dtype, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = SimpleNamespace(total_memory=gigabytes * 2**30)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: card)
    (place,) = optim.masters(given(moved, dtype), network=given(UNET, dtype))
    assert place.type == where


def test_what_stands_in_is_where_the_network_is_and_gradients_come_back() -> None:
    """A copy in the network's precision and place; its gradient in the master's."""
    base = {"weight": torch.ones(2, 3, dtype=torch.float16)}
    made: dict[str, torch.Tensor] = {}
    model = SimpleNamespace(
        core=SimpleNamespace(base=base), weights=base, tuned=lambda delta: made.update(delta.weights)
    )
    whole = Whole(model, ["weight"])  # pyright: ignore[reportArgumentType]
    (master,) = whole.first()
    assert master.dtype == torch.float32
    master.requires_grad_()
    whole.under([master])
    assert (made["weight"].dtype, made["weight"].device) == (torch.float16, base["weight"].device)
    made["weight"].sum().backward()
    assert master.grad is not None
    assert master.grad.dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_by_pieces_adam_has_the_bits_that_it_has_whole(dtype: torch.dtype) -> None:
    draws = torch.Generator().manual_seed(0)
    one, other = optim.Adam(1e-2), optim.Adam(1e-2)
    x = y = torch.randn(3, optim.PIECE - 5, generator=draws).to(dtype)
    first = x.clone()
    for _ in range(3):
        grad = torch.randn(x.shape, generator=draws).to(dtype)
        x = one.step(x, grad)
        y = other.step(y.T, grad.T).T  # not contiguous, so it is done whole
    assert one.mean is not None
    assert other.mean is not None
    assert torch.equal(x, y)
    assert torch.equal(one.mean, other.mean.T)
    assert not torch.equal(x, first)
