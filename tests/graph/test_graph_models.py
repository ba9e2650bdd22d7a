"""A stage says on which models it works, and a recipe that gives it another is refused before one loads."""

from __future__ import annotations

import pytest

from tests.graph.fake_model import FakeModel, Known

FLOW = 'invert rf_solver "cat"->"dog"'
TOLD = 'invert ddim "cat"->"dog" | guide distilled'


def only(model):
    """The one model that there is."""
    return lambda name, revision: model


def said(found):
    return [(each.code, each.message, each.help) for each in found]


@pytest.mark.parametrize(("prediction", "has"), [("epsilon", "noise"), ("v_prediction", "diffusion's velocity")])
def test_a_stage_of_flows_is_refused_on_another_model_with_what_to_use(checked, prediction, has):
    found = checked(FLOW, find_model=only(FakeModel(prediction=prediction))).diagnostics
    message = f"'invert rf_solver' works on models that predict a flow's velocity, and 'storybook' predicts {has}"
    assert said(found) == [("RT320", message, "use 'invert fixed_point', or another model")]


def test_on_a_flow_it_is_not(checked):
    assert not checked(FLOW, find_model=only(FakeModel(prediction="flow"))).diagnostics


@pytest.mark.parametrize("told", [{}, {"shift": 1.0}])
def test_a_number_that_the_model_does_not_read_is_refused(checked, told):
    (found,) = checked(TOLD, find_model=only(FakeModel(known=Known(told=told)))).diagnostics
    assert (found.code, found.help) == ("RT321", "use 'guide cfg', or another model")
    reads = "'shift'" if told else "no number"
    assert found.label == f"'storybook' reads {reads} beside the time"


def test_one_that_it_reads_is_told(checked):
    assert not checked(TOLD, find_model=only(FakeModel(known=Known(told={"guidance": 1.0})))).diagnostics


def test_both_are_reported_at_once(checked):
    found = checked(f"{FLOW} | guide distilled").diagnostics
    assert [each.code for each in found] == ["RT320", "RT321"]
