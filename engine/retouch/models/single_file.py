"""A model in one safetensors file with its authors' names: its parts, and where the rest comes from.  No torch.

Configs and vocabularies are not in such a file.  They come from a model that is named beside it, its base, or else from
the configs that a plugin ships for this kind of file (the hook `retouch_configs`); what the file lacks comes from the
base as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from retouch.models import families
from retouch.models.errors import BrokenModel
from retouch.models.files.headers import Header, read_header
from retouch.models.files.kinds import WeightsKind, kind_of
from retouch.models.files.landmarks import check_landmarks
from retouch.models.files.model_files import InOneFile, ModelFiles
from retouch.models.files.pickles import is_pickle, refusal
from retouch.models.prompts.clip_vocabulary import installed_vocabulary
from retouch.plugins import announced

NETWORKS = ("unet", "transformer")
# What the tensors of each part begin with: in the files of Stability AI and their kind, and in ComfyUI's.
NETWORK = ("model.diffusion_model.",)
_VAE = ("first_stage_model.", "vae.")
_CLIP = {
    "text_encoder": (
        "cond_stage_model.transformer.",
        "cond_stage_model.model.",
        "conditioner.embedders.0.transformer.",
        "text_encoders.clip_l.transformer.",
    ),
    "text_encoder_2": ("conditioner.embedders.1.model.", "text_encoders.clip_g.transformer."),
}
_T5 = ("text_encoders.t5xxl.transformer.",)
_OTHERS = ("first_stage_model.", "vae.", "cond_stage_model.", "conditioner.", "text_encoders.", "model_ema.")
_ENOUGH = 'base="owner/name", or its folder'
# Files whose kind does not say which of two models it is: what to write.
_UNDECIDED = {
    "sd2": 'it does not say whether it predicts noise or velocity; write base="sd2-velocity" (768 pixels) or '
    'base="sd2-noise" (512)'
}


def shipped() -> dict[str, Path]:
    """The folder of configs for each kind of single file; of two plugins the first keeps a kind."""
    found: dict[str, Path] = {}
    for plugin in announced.everything():
        for kind, folder in plugin.configs().items():
            found.setdefault(kind, folder)
    return found


def is_weights(path: Path) -> bool:
    """Whether a file of this name holds weights, be they read or refused."""
    return path.suffix.lower() in (".safetensors", ".gguf") or is_pickle(path)


def checked_header(path: Path) -> Header:
    """Read the header of a weights file.  Raises BrokenModel, with what to do about a pickle."""
    if is_pickle(path):
        raise BrokenModel(refusal(path))
    if path.suffix.lower() == ".gguf":
        raise BrokenModel(f"'{path.name}' is a GGUF file, and weights are read from safetensors")
    return read_header(path)


def model_in(path: Path, base: ModelFiles | None, given: tuple[str, ...] = ()) -> ModelFiles:
    """All files of the model whose weights are in this file.  Raises BrokenModel, with what to write.

    given: parts that come from elsewhere, so that this file and its base may lack them.
    """
    names = checked_header(path).tensors
    kind = kind_of(names)
    if kind and kind.role not in ("model", "network") and not any(name.startswith(NETWORK) for name in names):
        raise BrokenModel(f"'{path.name}' is {kind.title}, and no model; {_use(kind, path)}")
    files = _with_configs(path, kind, base)
    pipeline = families.pipeline_of(files.configs)
    known = families.describe(pipeline, files.read)
    files = ModelFiles(
        path, files.configs, {**files.inside, **dict(_inside(path, files, known.parts))}, files.elsewhere
    )
    if not any(part in files.inside and files.inside[part].file == path for part in NETWORKS):
        raise BrokenModel(f"'{path.name}' has no network; its first tensor is {min(names, default='none')}")
    for part in known.parts:
        if base is not None and part in files.inside:
            check_landmarks(files, part)  # or it is the base that is to blame
        if part not in given and not files.has(part):
            also = ', or vae="file.safetensors"' if part == "vae" else ""
            raise BrokenModel(f"'{path.name}' has no {part}; name a model that has one: {_ENOUGH}{also}")
    return _with_words(path, files, known.tokenizers)


def vae_in(path: Path) -> InOneFile:
    """The VAE that this file is, or holds."""
    tensors = checked_header(path).tensors
    for prefix in _VAE:
        if any(name.startswith(prefix) for name in tensors):
            return InOneFile(path, prefix)
    if "decoder.conv_in.weight" not in tensors:
        kind = kind_of(tensors)
        raise BrokenModel(f"'{path.name}' is {kind.title if kind else 'not known here'}, and no VAE")
    return InOneFile(path)


def _with_configs(path: Path, kind: WeightsKind | None, base: ModelFiles | None) -> ModelFiles:
    if base is not None:
        return base
    if kind is None or kind.role not in ("model", "network"):
        raise BrokenModel(f"'{path.name}' is of no kind that is known here; name a model of its kind: {_ENOUGH}")
    if kind.configs in _UNDECIDED:
        raise BrokenModel(f"'{path.name}' is {kind.title}, and {_UNDECIDED[kind.configs]}")
    known = shipped()
    if kind.configs not in known:
        what = f"'{path.name}' is {kind.title}, and no configs ship for it"
        raise BrokenModel(f"{what}; name a model of its kind: {_ENOUGH}")
    return ModelFiles.of_folder(known[kind.configs])


def _inside(path: Path, files: ModelFiles, parts: tuple[str, ...]) -> Iterator[tuple[str, InOneFile]]:
    names = read_header(path).tensors
    for part in parts:
        if part in NETWORKS:
            prefixes = NETWORK
        elif part == "vae":
            prefixes = _VAE
        else:
            is_t5 = files.read(f"{part}/config.json").get("model_type") == "t5"
            prefixes = _T5 if is_t5 else _CLIP.get(part, ())
        held = next((prefix for prefix in prefixes if any(name.startswith(prefix) for name in names)), None)
        if held is not None:
            yield part, InOneFile(path, held)
        elif part in NETWORKS and any(not name.startswith((*NETWORK, *_OTHERS)) for name in names):
            yield part, InOneFile(path, "", _OTHERS)


def _with_words(path: Path, files: ModelFiles, tokenizers: tuple[str, ...]) -> ModelFiles:
    """The same with CLIP's vocabulary from an installed package, where configs came without one."""
    for part in tokenizers:
        if any((files.folder(part) / name).is_file() for name in ("tokenizer.json", "vocab.json")):
            continue
        encoder = f"text_encoder{part.removeprefix('tokenizer')}"
        reads = files.read(f"{encoder}/config.json") if part in ("tokenizer", "tokenizer_2") else {}
        clip = reads.get("model_type") == "clip_text_model"
        if clip and (words := installed_vocabulary()):
            files = ModelFiles(path, files.configs, files.inside, {**files.elsewhere, part: words})
            continue
        also = ", or install the package that has CLIP's: pip install open_clip_torch" if clip else ""
        raise BrokenModel(f"'{path.name}' has no vocabulary ({part}); name a model that has one: {_ENOUGH}{also}")
    return files


def _use(kind: WeightsKind, path: Path) -> str:
    match kind.role:
        case "lora":
            return f'write it beside one: model "…" lora=["{path}"]'
        case "vae":
            return f'write it beside one: model "…" vae="{path}"'
        case _:
            return "name one with --model"
