"""The collector of garbage is left as it was, however a block ends."""

import gc

import pytest

from retouch.plugins.collector import quiet_collector


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
