"""The collector of garbage is left as it was, however a block ends."""

import gc
import warnings

import pytest

from retouch.plugins.surroundings import Unchanged
from retouch.run.collector import quiet_collector


@pytest.fixture(params=[True, False], ids=["on", "off"])
def was(request):
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if before else gc.disable)()


def test_it_is_quiet_inside_and_as_before_outside(was):
    with quiet_collector():
        with quiet_collector():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled() == was


def test_it_is_as_before_after_an_error_too(was):
    with pytest.raises(ValueError, match="no"), quiet_collector():
        raise ValueError("no")
    assert gc.isenabled() == was


def test_of_blocks_that_overlap_the_last_turns_it_on_again(was):
    first, second = quiet_collector(), quiet_collector()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()  # a run in another thread has not ended
    second.__exit__(None, None, None)
    assert gc.isenabled() == was


def test_a_stranger_is_not_blamed_for_a_run_of_another_thread_that_ends_while_it_works(was):
    other, own, blamed = quiet_collector(), quiet_collector(), []
    other.__enter__()
    with own, Unchanged(blamed.append):
        other.__exit__(None, None, None)
    assert not blamed
    assert gc.isenabled() == was


def test_a_stranger_is_not_blamed_for_what_libraries_set_for_themselves_when_it_imports_them(monkeypatch):
    class OfALibrary(UserWarning):
        pass

    changes = [
        (lambda: warnings.filterwarnings("ignore", module="a_library.part"), False),
        (lambda: warnings.simplefilter("once", OfALibrary), False),
        (lambda: monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", "/tmp/cache"), False),
        (lambda: warnings.filterwarnings("error", module="a_library"), True),
        (lambda: warnings.simplefilter("ignore"), True),
        (lambda: warnings.filterwarnings("ignore", category=UserWarning), True),
        (lambda: monkeypatch.setenv("SOMEBODYS", "1"), True),
    ]
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    for change, told in changes:
        blamed: list[str] = []
        with warnings.catch_warnings():
            with Unchanged(blamed.append):
                change()
            assert bool(blamed) == told
