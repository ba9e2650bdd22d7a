"""Who may name a class of diffusers or transformers: whoever does knows our families of models, and no stranger's."""

from __future__ import annotations

import ast
from collections.abc import Iterable

import diffusers
import pytest
import transformers

from tests.plugins.test_imports import ENGINE, PLUGINS

LIBRARIES = (diffusers, transformers)
# Who may name a class of theirs, and why: nobody whose code would have to know a new family.
NAMING = {
    "retouch/models": "the engine's room for models",
    "retouch/starters/family": "a family, which is somebody's own to be",
    "retouch_models": "our families",
    "retouch_methods/eye": "networks that look at pictures, and denoise none",
    "retouch_gan": "looks and decodes with networks that it ships, and denoises with none",
    "retouch_storybook": "trains and ships networks of its own",
    "retouch_bench/speed": "is measured beside the loop of diffusers, on that loop's own network",
}


def test_only_families_and_the_engines_models_know_a_class_of_diffusers_or_transformers():
    """Whatever else knew one would know our families, and no stranger's."""
    found = {where: names for where, path in CODE.items() if (names := named(path.read_text()))}
    assert not {where: names for where, names in found.items() if not within_folders(where, NAMING)}
    idle = [folder for folder in NAMING if not any(within_folders(where, [folder]) for where in found)]
    assert not idle, "an exception that nobody needs any more"


def test_of_the_engine_only_what_reads_files_in_their_layout_names_one():
    """Not what runs passes, counts memory, downloads: there a family is what its contract says."""
    found = {where for where, path in CODE.items() if where.startswith("retouch/models/") and named(path.read_text())}
    assert found == {
        "retouch/models/checks.py",  # mistakes that headers show, told before anything loads
        "retouch/models/families.py",  # a folder that states no class of pipeline
        "retouch/models/files/landmarks.py",  # and of single files, whose names are their authors'
        "retouch/models/kit/agreement.py",  # what families are made of: schedulers,
        "retouch/models/kit/loading.py",  # any tokenizer,
        "retouch/models/kit/renaming.py",  # single files,
        "retouch/models/kit/text_models.py",  # text models,
        "retouch/models/kit/unet.py",  # and the network that two families have
        "retouch/models/network/fusing.py",  # a block of convolutions, whose norms become one kernel
    }


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel", {"UNet2DConditionModel"}),
        ("def late():\n    import transformers", {"transformers"}),
        ("KINDS = {'FluxTransformer2DModel': 15.0}", {"FluxTransformer2DModel"}),
        ("match kind:\n    case 'AutoencoderKL':\n        pass", {"AutoencoderKL"}),
        ("def f(x):\n    return x.CLIPTextModel", {"CLIPTextModel"}),
        ("'as a FluxTransformer2DModel has it'\nnumber = 'ResNet'", set()),
    ],
)
def test_a_class_is_found_in_an_import_a_table_and_a_branch_and_not_in_words(text: str, names: set[str]):
    assert named(text) == names


def named(text: str) -> set[str]:
    """Classes of the libraries that code names, and the libraries themselves where they are imported whole."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] in (
                "diffusers",
                "transformers",
            ):
                found |= {each.name for each in names}
            case ast.Import(names=names):
                found |= {each.name for each in names} & {"diffusers", "transformers"}
            case ast.Constant(value=str(name)) | ast.Attribute(attr=name) | ast.Name(id=name) if name in CLASSES:
                found.add(name)
            case _:
                pass
    return found


def within_folders(where: str, folders: Iterable[str]) -> bool:
    return any(where.startswith(f"{folder}/") for folder in folders)


# By their ends: other names, such as "Encoder", are words that anybody may use.
ENDS = ("Model", "ModelWithProjection", "Pipeline", "Scheduler", "Tokenizer", "ForCausalLM")
CLASSES = {
    name for library in LIBRARIES for name in dir(library) if name.endswith(ENDS) or name.startswith("AutoencoderK")
} - set(ENDS)
CODE = {
    path.relative_to(root.parent).as_posix(): path for root in (ENGINE, *PLUGINS) for path in sorted(root.rglob("*.py"))
}
