"""Recipes of single files: what `model` takes beside a name, what a stamp says of it, and how it is made again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from retouch.cli.main import main
from retouch.models.recognise import look_into
from tests.families.single_files import SD2, TEXT, VAE, empty, whole, without_weights, written

pytestmark = pytest.mark.usefixtures("two_rows")

FLOW = 'open "cat.png" | invert ddim "a white cat"->"a dog" steps=2 | save "out.png"'


@pytest.fixture
def home(folder_of: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a picture, a model in one file, its configs, and a VAE."""
    folder = folder_of("stable_diffusion")
    tensors = whole("stable_diffusion", folder)
    written(tmp_path / "x.safetensors", {key: t for key, t in tensors.items() if "stage_model" in key or "diff" in key})
    written(tmp_path / "vae.safetensors", {key: t for key, t in tensors.items() if key.startswith("first_stage")})
    without_weights(folder, tmp_path / "configs")
    Image.new("RGB", (16, 16), "white").save(tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe(home: Path, model: str, flow: str = FLOW) -> str:
    (home / "r.retouch").write_text(f"{model}\n{flow}\n")
    return str(home / "r.retouch")


@pytest.mark.thorough
def test_a_single_file_runs_is_stamped_without_places_and_made_again(home: Path, capsys) -> None:
    text = recipe(home, f'model "{home}/x.safetensors" base="{home}/configs" vae="{home}/vae.safetensors"')
    assert main(["run", text]) == 0
    capsys.readouterr()
    assert main(["show", "--json", "out.png"]) == 0
    said = capsys.readouterr().out
    assert str(home) not in said
    assert said.count("digest:") >= 3
    assert main(["rerun", "out.png", "--verify", "--model", "x.safetensors"]) == 0
    shutil.move(home / "vae.safetensors", home / "gone")
    assert main(["rerun", "out.png", "--verify", "--model", "x.safetensors"]) != 0


def test_a_name_in_brackets_is_an_axis(home: Path) -> None:
    shutil.copy(home / "x.safetensors", home / "y.safetensors")
    text = recipe(
        home, 'let which = ["x", "y"]\nmodel "{which}.safetensors" base="configs"', FLOW.replace("out", "{which}")
    )
    assert main(["run", text]) == 0
    assert (home / "x.png").read_bytes()[:8] == (home / "y.png").read_bytes()[:8]


# A recipe's line with «the place» that its message marks, the code, what it says is wrong, and what to do.
MISTAKES = [
    ('model «"{nope}.safetensors"»', "RT406", "nope", ""),
    ('model «"none.safetensors"»', "RT412", "there is no file", "name a file that is there"),
    ('model «"vae.safetensors"»', "RT416", "is a VAE of Stable Diffusion, and no model", ""),
    ('model «"torn.safetensors"» base="configs"', "RT416", "is cut off", ""),
    ('model «"sd2.safetensors"»', "RT416", 'base="sd2-velocity"', ""),
    ('model "x.safetensors" «base="missing"»', "RT433", "no model is called", 'write base="owner/name"'),
    ('model "x.safetensors" «base="config"»', "RT433", "no model is called", "did you mean 'configs'?"),
    ('model "x.safetensors" «base="owner/name"»', "RT430", "is not on this machine", "retouch models get owner/name"),
    ('model "x.safetensors" «base="empty"»', "RT433", "model_index.json", "choose another, or leave it out"),
    ('model "configs" «base="configs"»', "RT433", "goes with a single file", "leave it out"),
    ('model "{at}" «vae="none"»', "RT433", "there is no VAE", 'write vae="vae.safetensors"'),
    ('model "{at}" «vae="vea.safetensors"»', "RT433", "there is no VAE", "did you mean 'vae.safetensors'?"),
    ('model "{at}" «vae="owner/name"»', "RT430", "is not on this machine", "retouch models get owner/name"),
    ('model "{at}" «vae="empty"»', "RT433", "is no folder of a VAE", "choose another"),
    ('model "{at}" «vae="torn.safetensors"»', "RT433", "is cut off", "'retouch models torn.safetensors' tells"),
    ('model "{at}" «vae="other"»', "RT433", "a latent has 8", "choose another, or leave it out"),
    ('model "{at}" lora=["style.safetensors", «"stile.safetensors*0.8"»]', "RT433", "cannot be read",
     "did you mean 'style.safetensors*0.8'?"),
    ('model "{at}" lora=[«"gone/a.safetensors"»]', "RT433", "cannot be read", 'write lora=["style.safetensors*0.8"]'),
    ('model "{at}" lora=[«"style.safetensors*much"»]', "RT433", "no file with its weight", "'retouch models style"),
    ('model "{at}" lora=[«"style.safetensors*300"»]', "RT433", "more than 20", "leave it out"),
    ('model "{at}" lora=[«"vae.safetensors"»]', "RT433", "is a VAE of Stable Diffusion, and no LoRA", "choose another"),
    ('let w = 1\nmodel "{at}" lora=[«"torn.safetensors*{w}"»]', "RT433", "is cut off", "'retouch models torn.safet"),
    ('let files = [«"torn.safetensors"»]\nmodel "{at}" lora=files', "RT433", "is cut off", "choose another"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "code", "said", "mend"), MISTAKES)
def test_a_mistake_is_told_by_check_where_it_stands(
    home: Path, style: Path, folder_of, capsys, model: str, code: str, said: str, mend: str
) -> None:
    empty(home / "sd2.safetensors", SD2 | VAE | TEXT)
    (home / "torn.safetensors").write_bytes(style.read_bytes()[:-8])
    (home / "empty").mkdir()
    shutil.copytree(folder_of("stable_diffusion") / "vae", home / "other")
    config = json.loads((home / "other/config.json").read_text())
    (home / "other/config.json").write_text(json.dumps(config | {"latent_channels": 8}))
    model = model.replace("{at}", str(folder_of("stable_diffusion")))
    (line,) = (line for line in model.splitlines() if "«" in line)
    allowed = ("--allow", str(folder_of("stable_diffusion")))
    assert main(["check", "--json", *allowed, recipe(home, model.replace("«", "").replace("»", ""))]) == 1
    (found,) = json.loads(capsys.readouterr().out)["diagnostics"]
    assert (found["code"], found["start"][1], found["end"][1]) == (code, line.index("«") + 1, line.index("»"))
    assert said in found["message"]
    assert mend in found["help"]


def test_a_file_without_a_vae_runs_with_one_beside_it(home: Path) -> None:
    from safetensors.torch import load_file

    tensors = load_file(home / "x.safetensors")
    written(home / "net.safetensors", {name: t for name, t in tensors.items() if "first_stage" not in name})
    model = 'model "net.safetensors" base="configs" vae="vae.safetensors"'
    assert main(["run", recipe(home, model)]) == 0
    assert main(["check", recipe(home, 'model "net.safetensors" base="configs"')]) == 1


def test_a_look_says_how_a_file_is_used(home: Path) -> None:
    assert look_into(home / "vae.safetensors").can[0].startswith("stand in for a model's own")
    assert 'base="owner/name"' in look_into(home / "x.safetensors").cannot[0]


def test_a_plan_counts_the_numbers_of_a_single_file(home: Path, capsys) -> None:
    assert main(["plan", "--json", recipe(home, 'model "x.safetensors" base="configs"')]) == 0
    estimate = json.loads(capsys.readouterr().out)["estimates"][0]
    from safetensors.torch import load_file

    tensors = load_file(home / "x.safetensors")
    assert sum(estimate["bytes"]["weights"].values()) == 4 * sum(tensor.numel() for tensor in tensors.values())


@pytest.fixture
def style(home: Path) -> Path:
    """A LoRA file for the model in the folder, one layer of which no model has."""
    from safetensors.torch import load_file

    net = load_file(home / "x.safetensors")
    name = next(name for name in net if "attn1.to_q.weight" in name and "diffusion_model" in name)
    shape, layer = (
        net[name].shape,
        name.removeprefix("model.diffusion_model.").removesuffix(".weight").replace(".", "_"),
    )
    generator = torch.Generator().manual_seed(2)
    tensors = {
        f"lora_unet_{layer}.lora_down.weight": torch.randn(4, shape[1], generator=generator),
        f"lora_unet_{layer}.lora_up.weight": torch.randn(shape[0], 4, generator=generator),
    }
    return written(home / "style.safetensors", tensors)


@pytest.mark.thorough
def test_weights_of_a_lora_are_swept_by_a_name_and_each_is_made_again(home: Path, style: Path, capsys) -> None:
    model = f'let w = [0, 4]\nmodel "x.safetensors" base="{home}/configs" lora=["{style}*{{w}}"]'
    assert main(["run", "--exact", recipe(home, model, FLOW.replace("out", "{w}"))]) == 0
    with Image.open(home / "0.png") as weak, Image.open(home / "4.png") as strong:
        assert weak.tobytes() != strong.tobytes()
    plain = recipe(home, 'model "x.safetensors" base="configs"', FLOW.replace("out", "plain"))
    assert main(["run", "--exact", plain]) == 0
    with Image.open(home / "0.png") as weak, Image.open(home / "plain.png") as plain:
        assert weak.tobytes() == plain.tobytes()
    for name in ("0.png", "4.png"):
        capsys.readouterr()
        assert main(["show", "--json", name]) == 0
        said = capsys.readouterr().out
        assert str(home) not in said
        assert main(["rerun", name, "--verify", "--model", "x.safetensors"]) == 0, capsys.readouterr().err + said


def test_check_and_plan_know_a_lora(home: Path, style: Path, capsys) -> None:
    model = 'model "x.safetensors" base="configs" lora='
    assert main(["check", recipe(home, f'{model}["none.safetensors*0.8"]')]) == 1
    assert "none.safetensors' cannot be read" in capsys.readouterr().err
    assert main(["check", recipe(home, f'{model}"style.safetensors"')]) == 1
    assert "error[RT207]" in capsys.readouterr().err
    assert main(["plan", "--json", recipe(home, f'{model}["style.safetensors"]')]) == 0
    weights = json.loads(capsys.readouterr().out)["estimates"][0]["bytes"]["weights"]
    assert weights["LoRA"] == 4 * (4 * 32 + 32 * 4)
    assert 'lora=["' in look_into(style).can[0]


def test_tensors_without_a_place_are_told(home: Path, style: Path, folder_of, capsys) -> None:
    from safetensors.torch import load_file

    written(home / "more.safetensors", load_file(style) | {"lora_te2_x.alpha": torch.ones(())})
    allowed = ["--allow", str(folder_of("stable_diffusion"))]
    assert (
        main(["check", recipe(home, f'model "{folder_of("stable_diffusion")}" lora=["more.safetensors"]'), *allowed])
        == 0
    )
    assert "warning[RT432]: 1 tensors of 'more.safetensors'" in capsys.readouterr().err


@pytest.mark.thorough
def test_two_loras_another_vae_a_base_and_exact_mode_all_at_once(home: Path, style: Path) -> None:
    """The same bits alone and beside other work; each LoRA and the VAE count, and two of one file are their sum."""
    base = f'model "x.safetensors" base="{home}/configs"'
    beside = f'{base} vae="better.safetensors" lora='
    from safetensors.torch import load_file

    vae = load_file(home / "vae.safetensors")
    written(home / "better.safetensors", {name: 1.05 * tensor for name, tensor in vae.items()})
    written(home / "two.safetensors", {name: -tensor.flip(0) for name, tensor in load_file(style).items()})
    models = {
        "both": f'{beside}["style.safetensors*2", "two.safetensors*1.5"]',
        "one": f'{beside}["style.safetensors*2"]',
        "halves": f'{beside}["style.safetensors*1.5", "style.safetensors*0.5"]',
        "plain": f'{base} lora=["style.safetensors*2", "two.safetensors*1.5"]',
    }

    def made(name: str) -> bytes:
        with Image.open(home / f"{name}.png") as picture:
            return picture.tobytes()

    opened, _, rest = FLOW.partition(" | ")
    flows = [f"{opened} | {model} | {rest.replace('out', name)}" for name, model in models.items()]
    assert main(["run", "--exact", recipe(home, "", "\n".join(flows))]) == 0
    assert main(["run", "--exact", recipe(home, models["both"], FLOW.replace("out", "alone"))]) == 0
    assert made("alone") == made("both")
    assert len({made(name) for name in ("both", "one", "plain")}) == 3
    apart = [abs(a - b) for a, b in zip(made("one"), made("halves"), strict=True)]
    assert max(apart) <= 1
