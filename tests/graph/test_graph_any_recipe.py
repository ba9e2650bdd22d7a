"""Any recipe that can be written gives sound graphs, or diagnostics inside its text; never an exception."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retouch.graph.document import as_data
from retouch.graph.plan import plan
from retouch.graph.show import as_text

EDITS = ["", "", '"cat"->"dog"', '"cat"->"dog"', '+"a hat"', '"cat"*2', '"a fox"']
STAGES = {
    "invert ddim {}": ["", "steps=5", "strength=40%", "pinned=true"],
    "invert null_text {}": ["", "guidance=3", "inner=2", 'negative="blurry"'],
    "attend p2p {}": ["", "self=0.1", 'edit="cat"->"pig"'],
    "attend masactrl {}": ["", "start=50%"],
    "guide cfg": ["", "guidance=2"],
    "guide pag": ["", "scale=1"],
    "mask diffedit {}": ["", "maps=2", "strength=s"],
    "mask file": ['"m.png"'],
    "mask dilate": ["", "pixels=2", "mask=f0"],
    "mask union": ["other=f0", "other=f1"],
    "blend latent": ["", "mask=f0", "mask=f1"],
    "blend local {}": [""],
    "blend pixel": ["", "mask=f0"],
    "sample": ["", "guidance=3", 'negative="blurry"'],
    "decode vae": [""],
    "encode vae": [""],
    "save": ['"{{name}}-{{turn}}.png"', '"o.png"'],
    "save mask": ['"p.png"'],
    "measure psnr": ["against=f0"],
}
HEADS = ['open "cat.png"', 'open "cat.png" caption="a cat"', "open", "f0", "f1"]


@st.composite
def stages(draw: st.DrawFn) -> str:
    stage = draw(st.sampled_from(list(STAGES)))
    text = f"{stage} {draw(st.sampled_from(STAGES[stage]))}"
    return " ".join(text.format(draw(st.sampled_from(EDITS))).split())


@st.composite
def recipes(draw: st.DrawFn) -> str:
    lines = ["let s = 0.5"]
    for number in range(draw(st.integers(1, 4))):
        flow = [draw(st.sampled_from(HEADS)), *draw(st.lists(stages(), min_size=1, max_size=6))]
        name = draw(st.sampled_from([f"f{number} = ", ""]))
        lines.append(name + " | ".join(flow))
    return "\n".join(lines)


@settings(max_examples=250, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=recipes())
def test_any_recipe_is_checked(checked, text):
    found = checked(text)
    assert found.graphs or found.diagnostics
    for item in found.diagnostics:
        assert 0 <= item.span.start < item.span.end <= len(text)
        assert item.render(text)
    for graph in found.graphs:
        planned = plan(graph)
        assert planned.total[0] <= planned.total[1]
        assert as_text(planned)
        assert as_data(planned)["rows"] == list(planned.total)


@pytest.mark.parametrize("inner", ["invert ddim", 'mask diffedit "a"->"b"', "sample", "decode vae"])
def test_a_very_long_flow_is_refused_with_its_length(checked, inner):
    found = checked("open | " + " | ".join([inner] * 300))
    assert [item.code for item in found.errors] == ["RT404"]
