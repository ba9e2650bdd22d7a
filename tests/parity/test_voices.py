"""Several tunings guide one walk, each with a share of the whole, by the formula of SINE.

Zhang et al. 2023, arXiv:2212.04489, sec. 3.2.
"""

from __future__ import annotations

from typing import Any

import torch

from retouch.api import Level, ModelDelta, Prediction, Prompt, SourcePrompt, TargetPrompt, together
from retouch.run.executor import Executor, run
from retouch.run.task import Task
from retouch.testing.worlds import tiny_world
from retouch_methods.guide.cfg import cfg
from retouch_methods.guide.image_text import image_text
from retouch_methods.guide.sine import sine as guide_sine
from retouch_methods.guide.voices import Voice, with_voice

WORLD = tiny_world(steps=4, dtype=torch.float64)
MODEL, BASE = WORLD.model, WORLD.model.core.base
TARGET, SOURCE = WORLD.edit.target.of(TargetPrompt), WORLD.edit.source.of(SourcePrompt)


def stub(seed: int) -> Any:
    """A model of random answers, told apart by role and prompt."""

    async def model(x: Any, level: Any, prompt: Prompt, *, role: str = "cond", **_: Any) -> Prediction:
        generator = torch.Generator().manual_seed(seed * 97 + sum(map(ord, role + prompt.text)))
        return Prediction(torch.randn(2, 2, 3, 3, dtype=torch.float64, generator=generator))

    return model


class TestVoices:
    """e_u + w * ((1 - sum of shares) * e(edit) + sum of shares * e_i(its own) - e_u), and plain guidance outside."""

    x = torch.zeros(2, 3, 3, dtype=torch.float64)
    edit, negative, own = (Prompt(text, torch.zeros(1, 1)) for text in ("edit", "negative", "own"))

    def guided(self, guidance: Any, model: Any, progress: float) -> torch.Tensor:
        return run(guidance(model, self.x, Level(500, 0.6, 0.8, progress=progress), self.edit, self.negative))[0].pair

    def said(self, model: Any, prompt: Prompt, role: str = "cond") -> torch.Tensor:
        return run(model(self.x, None, prompt, role=role))[0].pair

    def test_one_voice_is_the_authors_formula(self):
        base, tuned, w, beta = stub(1), stub(2), 10.0, 0.6
        guidance = with_voice(cfg(guidance=w), Voice(tuned, self.own, beta, 0.0, 0.5), base)
        away = self.said(base, self.negative, "uncond")
        e, mine = self.said(base, self.edit), self.said(tuned, self.own)
        inside = away + w * ((1 - beta) * e + beta * mine - away)
        torch.testing.assert_close(self.guided(guidance, stub(3), 0.2), inside)
        torch.testing.assert_close(self.guided(guidance, stub(3), 0.5), away + w * (e - away))

    def test_several_are_one_sum(self):
        base, w = stub(1), 7.5
        guidance = with_voice(cfg(guidance=w), Voice(stub(2), self.own, 0.4, 0.0, 1.0))
        guidance = with_voice(guidance, Voice(stub(3), None, 0.5, 0.5, 1.0))
        away, e = self.said(base, self.negative, "uncond"), self.said(base, self.edit)
        two, three = self.said(stub(2), self.own), self.said(stub(3), self.edit)
        late = away + w * (0.1 * e + 0.4 * two + 0.5 * three - away)
        torch.testing.assert_close(self.guided(guidance, base, 0.7), late)
        torch.testing.assert_close(self.guided(guidance, base, 0.1), away + w * (0.6 * e + 0.4 * two - away))

    def test_what_leads_by_a_gradient_leads_the_sum(self):
        led = run(WORLD.call(image_text, guidance=cfg(guidance=2.0)))[0]
        both = with_voice(led, Voice(stub(2), self.own, 0.4, 0.0, 1.0))
        assert type(both) is type(led)
        assert both.losses == led.losses
        torch.testing.assert_close(
            self.guided(both, stub(1), 0.0), self.guided(with_voice(cfg(guidance=2.0), both.base.voices[0]), stub(1), 0)
        )


def test_rows_of_two_networks_never_meet_and_maps_of_both_are_one_role():
    tuned = MODEL.tuned(ModelDelta({"conv_out.weight": BASE["conv_out.weight"] * 1.5}))
    guidance = WORLD.call(guide_sine, guidance=cfg(guidance=3.0), model=tuned)
    level, x = WORLD.schedule.steps[0].noisy, WORLD.latents.data

    async def asked() -> Any:
        one = guidance(tuned, x, level, TARGET, WORLD.edit.negative)
        two = guidance(tuned, x, level, SOURCE, WORLD.edit.negative)
        return await together(source=two, target=one)

    executor = Executor()
    executor.run([Task(asked)])
    assert [info.rows for info in executor.calls] == [4, 2]
