"""Options of what `test_options_matter` leaves out: leading by a gradient, flow, distillation, flows in brackets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from retouch.check.matrix import EDIT
from retouch.check.reading.environment import Environment
from retouch.run.session import execute
from retouch_methods.eye.lpips import made as lpips
from tests.e2e.sessions import INSTALLED, tiny_world
from tests.e2e.test_options_matter import cards, graph, picture
from tests.families.tiny_families import build
from tests.models.test_eyes import filled


@dataclass(frozen=True)
class Trial:
    """A stage in a recipe, where it is {}, what is said to it in both runs, and what else in one of them."""

    stage: str
    around: str
    both: str
    options: Mapping[str, str]

    def recipes(self) -> Iterator[tuple[str, str, str]]:
        """Of each option its name, the recipe without, and the one with it."""
        around = self.around.replace("EYES", EYES)
        for option, value in self.options.items():
            rest = re.sub(rf"\b{option}=(\[[^]]*\]|\"[^\"]*\"|\S+)", "", self.both)
            changed = f"{self.stage} {rest} {option}={value}"
            plain, other = (around.replace("{}", each).replace("EDIT", EDIT) for each in (self.plain, changed))
            yield f"{self.stage} {option}", plain, other

    @property
    def plain(self) -> str:
        return f"{self.stage} {self.both}"


EYES = 'eye clip "storybook" | eye vit "storybook"'
FROM_NOISE = "invert sdedit EDIT strength=100%"
NOISED, WALKED = "invert sdedit strength=100%", "invert ddim EDIT"
LED = f"{FROM_NOISE} | mask box right=70% | EYES | {{}} | blend latent | solver ddpm"
AGAIN = f"{FROM_NOISE} steps=3 | EYES | {{}} | solver ddpm"
X0 = {"through": '"x0"'}
LEADING = (
    Trial(
        "guide image_text",
        LED,
        "looks=1 weight=9000",
        {
            "weight": "90",
            "sees": '"picture"',
            "looks": "2",
            "distance": '"cosine"',
            "less_source": "1",
            "more_picture": "1",
            **X0,
        },
    ),
    Trial(
        "guide direction",
        LED,
        "looks=1 weight=9000",
        {"weight": "90", "looks": "2", "templates": '["a drawing of _"]', **X0},
    ),
    *(Trial(f"guide {which}", LED, "looks=2 weight=9000", {"spread": "10%"}) for which in ("image_text", "direction")),
    Trial("guide identity", LED, "weight=900", {"weight": "9", "likeness": "900", **X0}),
    Trial(
        "guide keep",
        LED.replace("EYES", 'EYES | eye lpips "lpips"'),
        "",
        {"weight": "9", "perceptual": "9000", **X0},
    ),
    Trial(
        "guide structure",
        LED,
        "",
        {"weight": "9", "contrast": "9", "temperature": "1", "layer": "0", "look": '"predicted"', **X0},
    ),
    Trial(
        "guide appearance",
        AGAIN,
        'path="pictures/other.png" colours=900 away=900 until=100%',
        {
            "path": '"pictures/cat_meadow.png"',
            "towards": "9",
            "colours": "9",
            "away": "9",
            "until": "1%",
            "layer": "0",
            "look": '"predicted"',
            **X0,
        },
    ),
    Trial("guide range", AGAIN.replace("EYES | ", ""), "weight=9000", {"weight": "9", "attempts": "2", **X0}),
    Trial("guide range", AGAIN.replace("EYES | ", ""), "weight=9000 attempts=2", {"above": "1000000"}),
)
OTHERS = (
    *(
        Trial(
            f"distil {how}",
            "{}",
            "EDIT rounds=2 steps=50",
            {
                "rounds": "3",
                "rate": "0.2",
                "optimizer": '"sgd"' if how == "pds" else '"adam"',
                "low": "40%",
                "high": "40%",
            },
        )
        for how in ("dds", "pds", "sds")
    ),
    Trial(
        "distil sds",
        "{}",
        "EDIT rounds=2 steps=50",
        {"weight": '"x0"', "levels": '"falling"', "draws": "2", "share": "50%"},
    ),
    Trial(
        "paste",
        "mask box right=60% bottom=60% | crop size=16 | invert ddim EDIT | {}",
        "",
        {"inside": '"window"', "feather": "0"},
    ),
    Trial(
        "narrow",
        "mask box right=60% bottom=60% | crop | invert ddim EDIT | mask box right=40% | blend pixel | {} | paste",
        "",
        {"tolerance": "100%", "grow": "0"},
    ),
    Trial(
        "decode tuned",
        "mask box right=60% | invert ddim EDIT | blend latent | {}",
        "rounds=2 lr=0.01",
        {"tune": '"latents"', "rounds": "1", "lr": "0.001", "background": "1"},
    ),
    Trial("draw", "{} | rank denoiser keep=2 looks=1", f"({NOISED})", {"seeds": "3"}),
    Trial(
        "rank denoiser",
        f"draw ({NOISED}) seeds=6 | {{}}",
        "looks=1 keep=3",
        {"keep": "2", "looks": "4", "contrast": "30"},
    ),
    Trial("rank change", f"draw ({NOISED}) seeds=6 | {{}}", "keep=3", {"keep": "2", "room": "90%"}),
    Trial(
        "rank image_text",
        f"{EYES} | mask box right=40% | draw ({NOISED} | blend latent) seeds=6 | {{}}",
        "keep=3",
        {"keep": "2", "text": '"a dog"', "sees": '"picture"', "looks": "2"},
    ),
    Trial(
        "rank image_text",
        f"{EYES} | mask box right=40% | draw ({NOISED} | blend latent) seeds=6 | {{}}",
        "keep=3 looks=2",
        {"spread": "10%"},
    ),
    Trial("repaint", "mask box right=70% | {}", f"({NOISED} | blend latent) times=2", {"times": "1"}),
    Trial("tiles", "{}", f"({NOISED}) size=16", {"size": "24", "overlap": "50%"}),
    Trial("tiles multidiffusion", f"upscale factor=2 | {{}} | {NOISED}", "size=32", {"size": "48", "overlap": "0"}),
    Trial("upscale lanczos", f"{WALKED} | {{}}", "factor=1.5", {"factor": "2", "sharpen": "0.5"}),
    Trial("upscale bicubic", f"{WALKED} | {{}}", "factor=1.5", {"factor": "2", "sharpen": "0.5"}),
    Trial("match", f"{NOISED} | {{}}", "", {"reach": "1"}),
    Trial(
        "surround",
        f"mask box right=60% bottom=60% | crop | {NOISED} | upscale factor=2 | {{}} | mask window | "
        "invert sdedit strength=60% | blend latent | paste",
        "",
        {"detail": "20%"},
    ),
    Trial("schedule karras", f"{{}} | {WALKED} steps=4", "", {"rho": "2"}),
    Trial("schedule leading", f"{{}} | {WALKED}", "", {"offset": "0"}),
    Trial("schedule ays", f"{{}} | {WALKED}", "", {"table": '"sdxl"'}),
)
KEPT = "mask box right=70% | blend latent"
MODEL_OF_FLOW = (
    Trial("schedule shift", f"{{}} | {WALKED}", "", {"by": "9"}),
    Trial("guide distilled", f"{WALKED} | {{}}", "", {"guidance": "9"}),
    Trial(
        "invert fireflow", f"{{}} | {KEPT}", "EDIT", {"source_guidance": "9", "strength": "50%", "pinned": '"never"'}
    ),
    Trial(
        "invert rf_solver",
        f"{{}} | {KEPT}",
        "EDIT",
        {"ahead": "0.9", "source_guidance": "9", "strength": "50%", "pinned": '"never"'},
    ),
    Trial(
        "invert rf_inversion",
        f"{{}} | {KEPT}",
        "EDIT",
        {"gamma": "0.1", "eta": "0.1", "start": "60%", "until": "90%", "words": '"source"', "pinned": '"never"'},
    ),
)


def idle(trials: Iterable[Trial], world: Environment) -> set[str]:
    """Options that change nothing: all recipes run together, each once."""
    recipes = [each for trial in trials for each in trial.recipes()]
    graphs = {text: graph(world, text, name) for name, *both in recipes for text in both}
    result = execute([*graphs.values()], registry=INSTALLED)
    failed = [outcome.failures[0].message for outcome in result.outcomes if outcome.failures]
    assert not failed, "\n".join(failed)
    found = {
        text: picture(each, outcome.values)
        for (text, each), outcome in zip(graphs.items(), result.outcomes, strict=True)
    }
    return {name for name, plain, changed in recipes if torch.equal(found[plain], found[changed])}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """A small model, a second picture, and a network that tells how unlike two pictures look."""
    monkeypatch.chdir(tmp_path)  # where a network's name is looked for
    found = tiny_world(tmp_path, steps=2)
    Image.linear_gradient("L").resize((32, 32)).convert("RGB").save(tmp_path / "pictures" / "other.png")
    (tmp_path / "lpips").mkdir()
    save_file(
        filled(lpips({"trunk": "alex", "shift_tolerant": False})).state_dict(), tmp_path / "lpips/model.safetensors"
    )
    (tmp_path / "lpips/config.json").write_text('{"model_type": "lpips", "trunk": "alex", "shift_tolerant": false}')
    return found


@pytest.mark.thorough
def test_every_option_of_what_leads_changes_the_result(world: Environment) -> None:
    assert not idle(LEADING, world)


@pytest.mark.bench
def test_every_option_of_the_others_changes_the_result(world: Environment) -> None:
    assert not idle(OTHERS, world)


@pytest.mark.thorough
def test_every_option_for_flow_changes_the_result(world: Environment, tmp_path: Path) -> None:
    assert not idle(MODEL_OF_FLOW, replace(world, model=str(build("flux_dev", tmp_path / "flux"))))


ELSEWHERE = {  # families whose options other tests hold, or that change no picture
    "gan": "tests/gan",
    "tune": "tests/parity and tests/models, by what is learnt",
    "require": "tests/e2e/test_requirements.py, by what is refused",
    **dict.fromkeys(("fit", "render", "revise"), "tests/scenes"),
    **dict.fromkeys(("save", "sheet", "measure"), "they write what there is"),
    **dict.fromkeys(("open", "eye"), "they name a file"),
}
BY_NAME = {
    "guide mix": "it takes a tuning: tests/parity/test_voices.py",
    "guide sine": "it takes a tuning: tests/parity/test_voices.py",
    "mask lift": "tests/scenes",
    "upscale esrgan": "it takes a network: tests/laws/test_any_size.py",
}


def test_no_option_is_left_out() -> None:
    """Of any stage: one that comes new is tried here or there, or stands with its reason."""
    tried = {f"{card.name} {option.name}" for card in cards() for option in card.options}
    for trial in (*LEADING, *OTHERS, *MODEL_OF_FLOW):
        family, _, method = trial.stage.partition(" ")
        card = INSTALLED.find(family, method) if method else INSTALLED.default(family)
        assert card is not None
        tried |= {f"{card.name} {option}" for option in trial.options}
    left = {
        f"{card.name} {option.name}"
        for card in INSTALLED.cards
        for option in card.options
        if card.family not in ELSEWHERE and card.name not in BY_NAME
    }
    assert left - tried == {"tiles ramps at_once"}  # memory alone, as it says
