"""What holds for all tests: none writes to the user's cache, and none fails because the machine is busy.

`make test` runs of each test of what takes a network one variant, `make thorough` the others, and the tests that are
marked so: they hold what others hold as well, and take more than half a second.  A submission has to pass both.  Of a
test that is marked `crossed` these two run as few as have each value of each of its parameters once, and `make bench`
the other combinations.
"""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from itertools import islice
from zlib import crc32

import pytest
from hypothesis import HealthCheck, settings

gc.disable()  # until all is imported and collected: there is no garbage in it, and much to look through

os.environ["RETOUCH_CACHE"] = "off"
os.environ |= {
    "HF_HUB_DOWNLOAD_TIMEOUT": "600",
    "HF_HUB_ETAG_TIMEOUT": "600",
}  # of the server that stands in for the hub
# The clock on the wall says nothing of an example, nor of how long it took to draw one.  Examples are the same each
# time, so that no submission fails by chance; `make soak` draws others, and remembers those that failed.
SOAK = bool(os.environ.get("RETOUCH_SOAK"))
settings.register_profile("retouch", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=not SOAK)
settings.load_profile("retouch")


@pytest.fixture(scope="session", autouse=True)
def loaded() -> None:
    """The embedded models are loaded when they are first asked for, and once a worker, whoever asks."""
    from tests.e2e.sessions import stay_loaded

    stay_loaded("storybook", "storybook128", "storybook_pixels")


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


# Files that take ten seconds and more, of few tests or after long preparation: begun last, they would leave the other
# worker with nothing to do.
LONG = {
    *("faulty/test_faulty_plugins.py", "plugins/test_new_plugin.py", "plugins/test_storybook_train_model.py"),
    *("bench/test_bench_run.py", "bench/test_bench_speed.py", "gan/test_gan_recipes.py", "wheel/test_wheel.py"),
    *("e2e/test_matrix.py", "e2e/test_shared_work.py", "e2e/test_first_recipe.py", "e2e/test_batching.py"),
    *("e2e/test_options_matter.py", "e2e/test_language.py", "e2e/test_exact_threads.py", "e2e/test_python.py"),
    *("e2e/test_workers.py", "e2e/test_rows.py", "popup/test_ceilings.py", "popup/test_pop_up_book.py"),
}


QUICK = {"lang", "graph", "plugins", "pictures"}  # folders in which no test takes a network, and a variant milliseconds


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Leave most variants to `make thorough`, most combinations to `make bench`; begin the long files first."""
    variants: dict[str, list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and "[" in item.name and not item.get_closest_marker("bench"):
            variants.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for of_one in variants.values():
        if of_one[0].get_closest_marker("crossed"):
            mark(of_one, "bench", covering(of_one))
        if of_one[0].path.parent.name not in QUICK:
            mark(of_one, "thorough", islice(covering(of_one), 1))
    yield  # others leave tests out
    often = Counter(item.path for item in items)
    long = {path: "/".join(path.parts[-2:]) in LONG for path in often}
    items.sort(key=lambda item: (not long[item.path], -often[item.path], item.path))


def mark(items: Iterable[pytest.Function], name: str, but: Iterable[pytest.Function]) -> None:
    """Mark all but some."""
    kept = {id(item) for item in but}
    for item in items:
        if id(item) not in kept:
            item.add_marker(name)


def covering(items: Iterable[pytest.Function]) -> Iterator[pytest.Function]:
    """Yield a few in which each value of each parameter stands: always the one that has the most new ones."""
    items = sorted(items, key=lambda item: crc32(item.name.encode()))
    left = {item: {(name, id(value)) for name, value in item.callspec.params.items()} for item in items}
    while new := max(left.values(), key=len, default=set[tuple[str, int]]()):
        yield next(item for item, values in left.items() if values == new)
        left = {item: values - new for item, values in left.items()}
