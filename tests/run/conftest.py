"""A world that is cheap to ask, and Ctrl-C as in a terminal.

One thread: the networks are tiny, and bits must not depend on how many cores are free.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import torch

from retouch.testing.worlds import World, gaussian_world

torch.set_num_threads(1)
WORLD = gaussian_world(steps=4)


@pytest.fixture
def world() -> World:
    """A world that has counted no forwards."""
    WORLD.model.core.forwards.clear()
    return WORLD


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """A job in the background ignores SIGINT; here it is heard as in a terminal."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
