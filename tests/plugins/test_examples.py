"""`help(retouch.api.X)` shows a signature and an example, and each example says what is so."""

from __future__ import annotations

import doctest
import pydoc

import pytest
import torch

from retouch import api
from retouch.api._examples import examples
from retouch.run import executor
from retouch.testing.worlds import tiny_world

EXAMPLES = examples()
WORLD = tiny_world(steps=2)
# A number and names of types: help shows what they are, the guide shows their use.
PLAIN = {"VERSION", "Asks", "Guidance", "hookimpl"}


def test_every_name_has_an_example_and_every_example_a_name():
    assert EXAMPLES.keys() == set(api.__all__) - PLAIN


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_shown_by_help_and_is_so(name):
    value = getattr(api, name)
    page = pydoc.plain(pydoc.render_doc(value))
    assert EXAMPLES[name].splitlines()[0] in page
    assert f"{name}(" in page
    names = {each: getattr(api, each) for each in api.__all__}
    names |= {"torch": torch, "world": WORLD, "run": lambda coroutine: executor.run(coroutine)[0]}
    example = doctest.DocTestParser().get_doctest(value.__doc__, names, name, None, None)
    told: list[str] = []
    found = doctest.DocTestRunner(verbose=False).run(example, out=told.append)
    assert found.attempted
    assert not found.failed, "".join(told)
