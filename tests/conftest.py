"""What holds for all tests: none writes to the user's cache, and none fails because the machine is busy.

Of a test that is marked `crossed`, `make test` runs as few as have each value of each of its parameters once, and
`make bench` the other combinations.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

import pytest
from hypothesis import settings

gc.disable()  # until all is imported and collected: there is no garbage in it, and much to look through

os.environ["RETOUCH_CACHE"] = "off"
settings.register_profile("retouch", deadline=None)  # the clock on the wall says nothing of one example
settings.load_profile("retouch")


@pytest.fixture(scope="module")
def two_rows() -> Iterator[None]:
    """Exact mode in calls of two rows, for what compares bytes and asks for few: those of eight are in the laws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("retouch.run.settings.EXACT_ROWS", 2)
        yield


def pytest_collection_finish() -> None:
    """What is imported and collected by now stays: no collection of garbage looks through it again."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave combinations of a `crossed` test in which no value is new to `make bench`."""
    crossed: dict[str, list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("crossed"):
            crossed.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for combinations in crossed.values():
        plain = [item for item in combinations if not item.get_closest_marker("bench")]
        kept = {id(item) for item in covering(plain)}
        for item in plain:
            if id(item) not in kept:
                item.add_marker("bench")


def covering(items: Iterable[pytest.Function]) -> Sequence[pytest.Function]:
    """Return a few in which each value of each parameter stands: always the one that has the most new ones."""
    items = sorted(items, key=lambda item: crc32(item.name.encode()))
    left = {item: {(name, id(value)) for name, value in item.callspec.params.items()} for item in items}
    found = list[pytest.Function]()
    while new := max(left.values(), key=len, default=set[tuple[str, int]]()):
        found.append(next(item for item, values in left.items() if values == new))
        left = {item: values - new for item, values in left.items()}
    return found
