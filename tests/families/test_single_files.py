"""A model in one file with its authors' names is its folder, bit for bit: renaming is diffusers', filling is strict."""

from __future__ import annotations

import gzip
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from retouch.models.catalog import BrokenModel, find
from retouch.models.errors import UnfitBeside
from retouch.models.files import InOneFile, ModelFiles
from retouch.models.kit.loading import _configured
from retouch.models.kit.renaming import renamed
from retouch.models.landmarks import check_landmarks
from retouch.models.single_file import model_in, shipped
from retouch.run.executor import run
from retouch.run.loaded_model import Machine
from tests.families import authors_names as authors
from tests.families.tiny_families import FAMILIES

FolderOf = Callable[[str], Path]


def stored(folder: Path, part: str) -> dict[str, Tensor]:
    return load_file(next((folder / part).glob("*.safetensors")))


def config(folder: Path, part: str) -> dict[str, Any]:
    return json.loads((folder / part / "config.json").read_text())


def whole(name: str, folder: Path) -> dict[str, Tensor]:
    """All tensors of a model, in its authors' names."""
    if name == "sd3":
        return whole_sd3(folder)
    made = authors.unet(config(folder, "unet"), stored(folder, "unet"))
    made |= authors.vae(config(folder, "vae"), stored(folder, "vae"))
    if name == "stable_diffusion":
        return made | authors.clip(stored(folder, "text_encoder"), "cond_stage_model.transformer.")
    made |= authors.clip(stored(folder, "text_encoder"), "conditioner.embedders.0.transformer.")
    return made | authors.open_clip(stored(folder, "text_encoder_2"))


def whole_sd3(folder: Path) -> dict[str, Tensor]:
    """One file of everything, as it was published: T5's words lie in it twice, and counts beside its texts."""
    named = authors.sd3(stored(folder, "transformer"))
    made = {f"model.diffusion_model.{name}": tensor for name, tensor in named.items()}
    made |= authors.vae(config(folder, "vae"), stored(folder, "vae"))
    for number, text in (("", "clip_l"), ("_2", "clip_g"), ("_3", "t5xxl")):
        own = stored(folder, f"text_encoder{number}")
        made |= {f"text_encoders.{text}.transformer.{name}": tensor for name, tensor in own.items()}
        made[f"text_encoders.{text}.logit_scale"] = torch.tensor(4.6)
    words = "text_encoders.t5xxl.transformer.shared.weight"
    return made | {words.replace("shared", "encoder.embed_tokens"): made[words]}


def written(path: Path, tensors: dict[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path, {"format": "pt"})
    return path


def without_weights(folder: Path, to: Path) -> Path:
    return shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.safetensors"))


def answers(machine: Machine, cells: int = 8) -> list[Tensor]:
    """A forward pass, a prompt with what else it holds, a decoded and an encoded picture."""
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(machine.info.channels, cells, cells, generator=draw)
    side = cells * machine.info.scale
    (prompt,) = run(machine.texts.prompt("a white cat"))
    level = machine.schedule(4, (cells, cells)).steps[1].noisy
    (said,) = run(machine.denoiser(x, level, prompt))
    picture = torch.rand(1, 3, side, side, generator=draw)
    return [
        said.pair,
        prompt.embeds,
        *prompt.extra.values(),
        machine.codec.decode(x[None]),
        machine.codec.encode(picture),
    ]


def machine(name: str, **beside: Any) -> Machine:
    return Machine(find(name, **beside), "cpu", torch.float32)


@pytest.mark.parametrize("name", ["stable_diffusion", "sdxl", "sd3"])
def test_a_single_file_is_its_folder_bit_for_bit(name: str, folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of(name)
    file = written(tmp_path / "x.safetensors", whole(name, folder))
    base = without_weights(folder, tmp_path / "configs")
    one, other = machine(str(folder)), machine(str(file), base=str(base))
    assert all(torch.equal(a, b) for a, b in zip(answers(one), answers(other), strict=True))
    weights = one.denoiser.core.base, other.denoiser.core.base
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_the_smaller_clip_of_sd3_is_pooled_as_it_is(folder_of: FolderOf, tmp_path: Path) -> None:
    """Its file has no projection for that one, and diffusers' folder has one that changes nothing."""
    folder = shutil.copytree(folder_of("sd3"), tmp_path / "folder")
    state, name = stored(folder, "text_encoder"), "text_projection.weight"
    state[name] = torch.eye(len(state[name]))
    save_file(state, next((folder / "text_encoder").glob("*.safetensors")))
    tensors = whole("sd3", folder)
    del tensors[f"text_encoders.clip_l.transformer.{name}"]
    file, base = written(tmp_path / "x.safetensors", tensors), without_weights(folder, tmp_path / "configs")
    same = answers(machine(str(folder))), answers(machine(str(file), base=str(base)))
    assert all(torch.equal(a, b) for a, b in zip(*same, strict=True))
    del tensors[f"text_encoders.clip_g.transformer.{name}"]
    written(file, tensors)
    with pytest.raises(BrokenModel, match=f"lacks {name}"):
        _ = machine(str(file), base=str(base)).loaded


def test_what_a_file_lacks_comes_from_its_base(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("stable_diffusion")
    tensors = authors.unet(config(folder, "unet"), stored(folder, "unet"))
    file = written(tmp_path / "unet.safetensors", tensors)
    info = find(str(file), base=str(folder))
    assert info.files.weights("unet") == file
    assert info.files.weights("vae") == next((folder / "vae").glob("*.safetensors"))
    assert info.space == find(str(folder)).space
    assert info.digest != find(str(folder)).digest
    same = answers(machine(str(folder))), answers(Machine(info, "cpu", torch.float32))
    assert all(torch.equal(a, b) for a, b in zip(*same, strict=True))


def test_a_network_in_diffusers_names_is_read_as_well(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("flux_dev")
    file = written(tmp_path / "net.safetensors", stored(folder, "transformer"))
    same = answers(machine(str(folder))), answers(machine(str(file), base=str(folder)))
    assert all(torch.equal(a, b) for a, b in zip(*same, strict=True))


@pytest.mark.parametrize("kind", ["authors", "bare", "diffusers", "folder", "model"])
def test_a_vae_of_its_own_stands_in(kind: str, folder_of: FolderOf, tmp_path: Path) -> None:
    folder, other = folder_of("stable_diffusion"), tmp_path / "other"
    state = {name: tensor * 1.25 for name, tensor in stored(folder, "vae").items()}
    shutil.copytree(folder, other)
    save_file(state, next((other / "vae").glob("*.safetensors")))
    match kind:
        case "authors":
            vae = written(tmp_path / "v.safetensors", authors.vae(config(folder, "vae"), state))
        case "bare":
            vae = written(tmp_path / "v.safetensors", authors.vae(config(folder, "vae"), state, ""))
        case "diffusers":
            vae = written(tmp_path / "v.safetensors", state)
        case "folder":
            vae = other / "vae"
        case _:
            vae = other
    plain, own = find(str(folder)), find(str(folder), vae=str(vae))
    assert own.space != plain.space
    assert own.digest != plain.digest
    wanted, got = answers(machine(str(other))), answers(Machine(own, "cpu", torch.float32))
    assert all(torch.equal(a, b) for a, b in zip(wanted, got, strict=True))


def test_two_files_with_one_vae_share_latents(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("stable_diffusion")
    tensors = whole("stable_diffusion", folder)
    one = written(tmp_path / "one.safetensors", tensors)
    tensors = {key: tensor + key.startswith("model.") for key, tensor in tensors.items()}
    two = written(tmp_path / "two.safetensors", tensors)
    first, second = find(str(one), base=str(folder)), find(str(two), base=str(folder))
    assert first.space == second.space
    assert first.digest != second.digest


def test_a_half_precision_file_runs_as_its_numbers_say(folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("stable_diffusion")
    file = written(tmp_path / "x.safetensors", {k: t.half() for k, t in whole("stable_diffusion", folder).items()})
    half = machine(str(file), base=str(folder)).denoiser.core.base
    full = machine(str(folder)).denoiser.core.base
    assert all(torch.equal(half[key], full[key].half().float()) for key in full)


BROKEN: dict[str, tuple[Callable[[dict[str, Tensor]], Any], str]] = {
    "a tensor is missing": (lambda t: t.pop("model.diffusion_model.out.2.bias"), "lacks conv_out.bias"),
    "a tensor too many": (
        lambda t: t.update({"model.diffusion_model.out.9.weight": torch.ones(7)}),
        "has 7 numbers for its UNet2DConditionModel that the network has not",
    ),
    "another shape": (
        lambda t: t.update({"model.diffusion_model.out.2.bias": torch.ones(9)}),
        "conv_out.bias is 9, and the config says 4",
    ),
    "no number": (
        lambda t: t["first_stage_model.decoder.conv_in.weight"].fill_(torch.nan),
        "decoder.conv_in.weight is not finite",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_filling_is_as_strict_as_from_a_folder(what: str, folder_of: FolderOf, tmp_path: Path) -> None:
    folder = folder_of("stable_diffusion")
    tensors = {key: tensor.clone() for key, tensor in whole("stable_diffusion", folder).items()}
    BROKEN[what][0](tensors)
    file = written(tmp_path / "x.safetensors", tensors)
    with pytest.raises(BrokenModel, match=BROKEN[what][1]):
        _ = machine(str(file), base=str(folder)).loaded


WHOLE = ("stable_diffusion", "sdxl", "sd3")  # of which the authors have one file of everything


@pytest.mark.parametrize("file", [*WHOLE, "flux_dev", "flux_schnell", "qwen_image", "z_image"])
def test_configs_of_another_family_are_refused_before_anything_loads(
    file: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    """A single file with its authors' names, or a network in diffusers', beside the configs of every other one."""
    folder = folder_of(file)
    tensors = whole(file, folder) if file in WHOLE else stored(folder, "transformer")
    path = written(tmp_path / "x.safetensors", tensors)
    find(str(path), base=str(folder))
    for other in FAMILIES:
        if other != file:
            with pytest.raises(UnfitBeside, match="the config"):
                find(str(path), base=str(folder_of(other)))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_vae_of_another_shape_is_refused_before_anything_loads(
    name: str, folder_of: FolderOf, tmp_path: Path
) -> None:
    """In a file, whose names and shapes are those of another class, and in a folder, whose config says so."""
    own, other = folder_of(name), folder_of("sdxl" if name == "qwen_image" else "qwen_image")
    same = written(tmp_path / "same.safetensors", stored(own, "vae"))
    find(str(own), vae=str(same))
    wrong = written(tmp_path / "wrong.safetensors", stored(other, "vae"))
    with pytest.raises(UnfitBeside, match="the config says"):
        find(str(own), vae=str(wrong))
    with pytest.raises(UnfitBeside, match=r"it is an Autoencoder\w+, and this model decodes by an Autoencoder"):
        find(str(own), vae=str(other))


_ENDS = {"input_blocks.0.0.weight": (320, 4, 3, 3), "out.2.weight": (4, 320, 3, 3)}
PUBLISHED: dict[str, dict[str, tuple[int, ...]]] = {
    "sd1": _ENDS | {"input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 768)},
    "sd2-noise": _ENDS | {"input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (320, 1024)},
    "sdxl": _ENDS
    | {"input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (640, 2048), "label_emb.0.0.weight": (1280, 2816)},
}


@pytest.mark.parametrize("kind", [*PUBLISHED, "sd3-medium", "sd3.5-medium", "sd3.5-large", "flux-dev", "flux-schnell"])
def test_a_file_of_full_size_fits_the_configs_that_ship_for_it_and_no_others(kind: str, tmp_path: Path) -> None:
    """By its header: the numbers are a hole in the file."""
    part = "unet" if kind in PUBLISHED else "transformer"
    said = config(shipped()[kind], part)
    shapes = PUBLISHED.get(kind) or (authors.flux if kind.startswith("flux") else authors.sd3_shapes)(said)
    path = hollow(tmp_path / "x.safetensors", {f"model.diffusion_model.{name}": each for name, each in shapes.items()})

    def fits(other: Path) -> None:
        check_landmarks(ModelFiles(path, other, {part: InOneFile(path, "model.diffusion_model.")}), part)

    fits(shipped()[kind])
    alike = {kind, *(("sd2-noise", "sd2-velocity") if kind == "sd2-noise" else ())}
    for name, other in shipped().items():
        if name not in alike and (other / part).is_dir() and not name.startswith("guided"):
            with pytest.raises(BrokenModel):
                fits(other)


def hollow(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    """A file with this header, whose numbers take no place on the disk."""
    header, at = {}, 0
    for name, shape in shapes.items():
        size = 2 * math.prod(shape)
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": (at, at + size)}
        at += size
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    return path


@pytest.mark.parametrize("kind", ["flux-dev", "flux-schnell"])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_names_and_shapes_of_flux_at_full_size(kind: str, prefix: str) -> None:
    from diffusers import FluxTransformer2DModel

    said = json.loads((shipped()[kind] / "transformer/config.json").read_text())
    with torch.device("meta"):
        module = FluxTransformer2DModel(**{key: value for key, value in said.items() if not key.startswith("_")})
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    state = {prefix + name: torch.empty(shape, device="meta") for name, shape in authors.flux(said).items()}
    made = renamed(module, "FluxTransformer2DModel", InOneFile(Path("x.safetensors"), prefix), state, said)
    assert {name: tuple(tensor.shape) for name, tensor in made.items()} == wanted


@pytest.mark.parametrize("kind", ["sd3-medium", "sd3.5-medium", "sd3.5-large"])
@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
def test_names_and_shapes_of_sd3_at_full_size(kind: str, prefix: str) -> None:
    from diffusers import SD3Transformer2DModel

    said = json.loads((shipped()[kind] / "transformer/config.json").read_text())
    with torch.device("meta"):
        module = SD3Transformer2DModel(**{key: value for key, value in said.items() if not key.startswith("_")})
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    state = {prefix + name: torch.empty(shape, device="meta") for name, shape in authors.sd3_shapes(said).items()}
    made = renamed(module, "SD3Transformer2DModel", InOneFile(Path("x.safetensors"), prefix), state, said)
    assert {name: tuple(tensor.shape) for name, tensor in made.items()} == wanted


@pytest.mark.parametrize("kind", ["sd3-medium", "sd3.5-medium", "sd3.5-large", "flux-dev", "flux-schnell"])
def test_texts_of_shipped_configs_are_as_large_as_published(kind: str) -> None:
    """CLIP's two with their projections and T5's encoder, whose table of words counts once."""
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection, T5Config, T5EncoderModel

    millions = {"768": 123.65, "1280": 694.66, "4096": 4762.31}
    for folder in shipped()[kind].glob("text_encoder*"):
        said = json.loads((folder / "config.json").read_text())
        t5 = said["model_type"] == "t5"
        build, kind_of_config = (T5EncoderModel, T5Config) if t5 else (CLIPTextModelWithProjection, CLIPTextConfig)
        with torch.device("meta"):
            module = build(_configured(kind_of_config, said))
        count = sum(parameter.numel() for parameter in module.parameters()) / 1e6
        assert count == pytest.approx(millions[str(said["d_model" if t5 else "hidden_size"])], rel=1e-3), folder


def empty(path: Path, shapes: dict[str, tuple[int, ...]]) -> Path:
    return written(path, {name: torch.zeros(shape, dtype=torch.float16) for name, shape in shapes.items()})


M = "model.diffusion_model."
SD1 = {
    f"{M}input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight": (4, 768),
    f"{M}input_blocks.0.0.weight": (4, 4, 3, 3),
}
SD2 = {
    f"{M}input_blocks.2.1.transformer_blocks.0.attn2.to_k.weight": (4, 1024),
    f"{M}input_blocks.0.0.weight": (4, 4, 3, 3),
}
FLUX = {f"{M}double_blocks.0.img_attn.qkv.weight": (12, 4), f"{M}img_in.weight": (4, 64)}
VAE = {"first_stage_model.decoder.conv_in.weight": (4, 4, 3, 3)}
TEXT = {"cond_stage_model.transformer.text_model.x": (3,)}
LORA = {"lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight": (4, 768)}
ASKED: dict[str, tuple[dict[str, tuple[int, ...]], str]] = {
    "no vocabulary": (
        SD1 | VAE | TEXT,
        r"has no vocabulary \(tokenizer\); name a model that has one: base=\"owner/name\"",
    ),
    "no vae": (SD1 | TEXT, 'has no vae; name a model that has one: base="owner/name", or its folder, or vae="file'),
    "no text encoder": (SD1 | VAE, "has no text_encoder; name a model"),
    "what it predicts": (SD2 | VAE | TEXT, 'write base="sd2-velocity"'),
    "flux alone": (FLUX, "has no vae; name a model"),
    "an unknown kind": ({"a": (3,)}, "is of no kind that is known here; name a model of its kind: base="),
    "a lora": (LORA, r'is a LoRA for Stable Diffusion 1, and no model; write it beside one: model "…" lora='),
    "a kind without a family": (FLUX | {f"{M}img_in.weight": (4, 384)}, "FLUX.1 Fill, and no configs ship"),
}


@pytest.mark.parametrize("what", ASKED)
def test_what_is_missing_is_asked_for_in_words(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retouch.models.clip_vocabulary.PACKAGES", ())
    with pytest.raises(BrokenModel, match=ASKED[what][1]):
        find(str(empty(tmp_path / "x.safetensors", ASKED[what][0])))


def test_vocabulary_of_a_package_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As OpenAI's packages have it: a heading, then merges; the ids that CLIP gives follow."""
    from transformers import CLIPTokenizer

    from retouch.models.clip_vocabulary import FILE, WORDS, read_vocabulary

    merges = ["c a", "ca t</w>", "d o", "do g</w>"]
    seen = [chr(code) for code in (*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324))]
    merges += [f"{one} {other}" for one in seen for other in seen if f"{one} {other}" not in merges]
    merges = merges[: 49152 - 256 - 2]
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip/__init__.py").write_text("raise RuntimeError('a package that is only read')")
    (tmp_path / "clip" / FILE).write_bytes(gzip.compress("\n".join(['"bpe"', *merges, "left over"]).encode()))
    monkeypatch.syspath_prepend(tmp_path)
    files = model_in(empty(tmp_path / "x.safetensors", SD1 | VAE | TEXT), None)
    words, pairs = read_vocabulary(files.folder("tokenizer"))
    assert len(words) == WORDS
    assert (words["!"], words["!</w>"], words["<|endoftext|>"]) == (0, 256, 49407)
    ids = CLIPTokenizer(words, pairs)("cat dog")["input_ids"]
    assert ids == [49406, words["cat</w>"], words["dog</w>"], 49407]


def test_a_base_beside_a_folder_is_refused(folder_of: FolderOf) -> None:
    folder = str(folder_of("stable_diffusion"))
    with pytest.raises(BrokenModel, match="goes with a single file"):
        find(folder, base=folder)
    with pytest.raises(BrokenModel, match="there is no VAE"):
        find(folder, vae="nowhere.safetensors")


@pytest.mark.parametrize("name", ["x.ckpt", "x.gguf", "none.safetensors"])
def test_a_file_that_is_not_read_says_why(name: str, tmp_path: Path) -> None:
    if not name.startswith("none"):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(BrokenModel, match=r"convert it|GGUF|cannot be read"):
        find(str(tmp_path / name))


def test_shipped_configs_make_the_networks_of_their_kinds() -> None:
    """Names and shapes at full size, on no memory; counts as the published files have them."""
    from diffusers import SD3Transformer2DModel, UNet2DConditionModel

    billions = {"sd1": 0.8595, "sd2-noise": 0.8659, "sd2-velocity": 0.8659, "sdxl": 2.5675, "sd3-medium": 2.085}
    billions |= {"sd3.5-medium": 2.47, "sd3.5-large": 8.1}
    for kind, wanted in billions.items():
        part, cls = ("transformer", SD3Transformer2DModel) if "sd3" in kind else ("unet", UNet2DConditionModel)
        said = json.loads((shipped()[kind] / part / "config.json").read_text())
        with torch.device("meta"):
            module = cls(**{key: value for key, value in said.items() if not key.startswith("_")})
        count = sum(tensor.numel() for tensor in module.state_dict().values()) / 1e9
        assert count == pytest.approx(wanted, rel=0.02), kind
