"""From Python all enters by the door that files do: one meaning, one refusal."""

from __future__ import annotations

import contextlib
import enum
import io
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

import retouch as python
from tests.e2e.command import COPY

pytestmark = pytest.mark.usefixtures("small_for_commands")

EDIT = 'invert sdedit "cat"->"dog" steps=2'
CASES = Path(__file__).parent / "cases"


@pytest.fixture(scope="module")
def copy() -> python.Recipe:
    return python.recipe(COPY)


def pixels(result) -> np.ndarray:
    return np.asarray(result.image)


# ---------------------------------------------------------------- what enters


def test_every_form_of_one_picture_is_the_same_picture(copy, cat: Path) -> None:
    rgb = np.asarray(Image.open(cat).convert("RGB"))
    unit = rgb / 255
    forms = [
        cat,
        str(cat),
        Image.open(cat),
        rgb,
        unit,
        unit.astype(np.float32),
        np.asfortranarray(rgb),
        rgb.astype(np.uint16) * 257,
        (rgb.astype(np.uint16) * 257).astype(">u2"),
        torch.tensor(unit).permute(2, 0, 1).to_sparse(),
        torch.tensor(unit).permute(2, 0, 1),
        torch.tensor(unit, requires_grad=True).permute(2, 0, 1),
    ]
    made = copy(forms)
    assert all(made)
    assert len({pixels(result).tobytes() for result in made}) == 1


@contextlib.contextmanager
def double():
    torch.set_default_dtype(torch.float64)
    try:
        yield
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    "block",
    [
        torch.inference_mode,
        lambda: torch.autocast("cpu", torch.bfloat16),
        lambda: torch.device("meta"),
        double,
    ],
    ids=["inference", "autocast", "device", "type"],
)
def test_a_block_of_torch_that_the_call_stands_in_changes_no_bit(block, cat: Path) -> None:
    """Scripts stand in such blocks for their own networks' sake; each recipe loads its model in it."""
    plain = pixels(python.recipe(EDIT)(cat, exact=True))
    with block():
        within = pixels(python.recipe(EDIT)(cat, exact=True))
    assert np.array_equal(within, plain)


def test_what_the_call_is_told_beside_the_pictures_is_looked_at_first(copy, cat: Path) -> None:
    for told, why in (
        ({"device": "tpu"}, "no device is called 'tpu'"),
        ({"device": "cuda:77"}, "this machine has no device 'cuda:77'"),
        ({"stamp": "ful"}, "a stamp is one of full, minimal, none, not 'ful'"),
    ):
        with pytest.raises(ValueError, match=why):
            copy(cat, **told)
    assert copy(cat, device=torch.device("cpu"))


def test_a_weight_keeps_its_digits_on_its_way_into_the_recipe() -> None:
    assert python.edit("cat", "dog", weight=1.23456789).text == '"cat"->"dog"*1.23456789'
    assert python.weigh("cat", 0.1 + 0.2).text == '"cat"*0.30000000000000004'


def test_grey_and_alpha_enter_as_files_of_them_do(copy, cat: Path, tmp_path: Path) -> None:
    grey = np.asarray(Image.open(cat).convert("L"))
    alpha = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    seen = np.dstack([np.asarray(Image.open(cat).convert("RGB")), alpha])
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(seen).save(tmp_path / "seen.png")
    as_grey = [grey, grey[..., None], grey / 255, torch.tensor(grey / 255), torch.tensor(grey / 255)[None]]
    made = copy([tmp_path / "grey.png", *as_grey])
    assert len({pixels(result).tobytes() for result in made}) == 1
    made = copy([tmp_path / "seen.png", seen, Image.fromarray(seen), torch.tensor(seen / 255).permute(2, 0, 1)])
    assert {result.image.mode for result in made} == {"RGBA"}
    assert len({pixels(result).tobytes() for result in made}) == 1
    assert np.array_equal(pixels(made[0])[..., 3], alpha)


def turned(cat: Path) -> Image.Image:
    tags = Image.Exif()
    tags[0x0112] = 6
    file = io.BytesIO()
    Image.open(cat).convert("RGB").resize((64, 96)).save(file, "PNG", exif=tags)
    return Image.open(file)


def linear(cat: Path) -> Image.Image:
    return Image.open(CASES / "linear_srgb_profile.png")


def cmyk(cat: Path) -> Image.Image:
    return Image.open(cat).convert("CMYK")


def deep(cat: Path) -> Image.Image:
    return Image.fromarray(np.asarray(Image.open(cat).convert("L")).astype(np.uint16) * 257)


def floating(cat: Path) -> Image.Image:
    return Image.fromarray(np.asarray(Image.open(cat).convert("L")).astype(np.float32) / 255)


def palette(cat: Path) -> Image.Image:
    image = Image.open(cat).convert("P", palette=Image.Palette.ADAPTIVE, colors=16)
    image.info["transparency"] = 0
    return image


@pytest.mark.parametrize("make", [turned, linear, cmyk, deep, floating, palette])
def test_an_image_of_pil_means_what_its_file_does(copy, cat: Path, make) -> None:
    image = make(cat)
    file = cat.with_name("as_file.png" if image.mode in ("RGB", "P", "I;16") else "as_file.tif")
    said = {"exif": image.getexif().tobytes()} if make is turned else {}
    said |= {"icc_profile": image.info["icc_profile"]} if make is linear else {}
    image.save(file, **said)
    by_file, by_hand = copy([file, make(cat)])
    assert by_hand.ok, by_hand.error
    assert by_hand.image.size == ((96, 64) if make is turned else (64, 64))
    assert by_hand.image.tobytes() == by_file.image.tobytes()
    words = [notice.partition(": ")[2] for notice in by_file.notices]
    assert [notice.partition(": ")[2] for notice in by_hand.notices] == words
    assert make in (turned,) or words  # what is converted is told


def test_every_mode_of_pil_enters_or_is_refused_with_words(copy) -> None:
    modes = ["1", "L", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "LA", "PA", "RGBX", "RGBa", "La", "I;16"]
    made = copy([Image.new(mode, (64, 64)) for mode in [*modes, "LAB"]])
    assert [mode for mode, result in zip(modes, made, strict=False) if not result.ok] == []
    (found,) = made[-1].diagnostics
    assert found.code == "RT428"
    assert "LAB" in found.message


X = torch.rand(3, 64, 64, generator=torch.Generator().manual_seed(0))
N = X.permute(1, 2, 0).numpy()
WRONG = {
    "0..255": (X * 255, "write x / 255"),
    "bytes": ((X * 255).byte(), "write x / 255"),
    "-1..1": (X * 2 - 1, "write (x + 1) / 2"),
    "overshoots": (X * 1.2 - 0.1, "write x.clamp(0, 1)"),
    "axes": (X.permute(1, 2, 0), "write x.permute(2, 0, 1)"),
    "batch": (X[None], "write list(x)"),
    "channels": (torch.rand(5, 64, 64), "give 1, 3 or 4 of them"),
    "one axis": (torch.rand(64), "give a tensor [3, H, W]"),
    "nan": (X * float("nan"), "look where they come from"),
    "empty": (torch.zeros(3, 0, 64), "give at least one"),
    "mask": (X > 0.5, "write x.float()"),
    "array 0..255": (N * 255, "write x / 255"),
    "array 0..65535": (N * 65535, "write x / 65535"),
    "array -1..1": (N * 2 - 1, "write (x + 1) / 2"),
    "array axes": (X.numpy(), "write x.transpose(1, 2, 0)"),
    "array batch": (N[None], "write list(x)"),
    "array int": ((N * 255).astype(np.int64), "write x.astype(numpy.uint8)"),
    "array mask": (N > 0.5, "write x.astype(float)"),
    "array text": (np.array([["a"]]), "write x.astype"),
}
MENDED = {"0..255", "bytes", "-1..1", "overshoots", "axes", "mask", "array 0..255", "array 0..65535", "array -1..1"}
MENDED |= {"array axes", "array int", "array mask"}


@pytest.mark.parametrize("case", WRONG)
def test_what_could_mean_two_things_is_refused_with_what_to_write(copy, case: str) -> None:
    x, mend = WRONG[case]
    with pytest.raises(python.RecipeError, match="RT428") as refused:
        copy(x)
    (found,) = refused.value.diagnostics
    assert mend in found.help
    assert f"picture 0: {type(x).__name__} {list(x.shape)}" in str(refused.value)
    if case in MENDED:
        write = re.fullmatch(r"write (.+?)(,? if .*)?", found.help)[1]
        assert copy(eval(write, {"x": x, "numpy": np})).ok


def test_what_is_no_picture_at_all_is_a_type_error(copy) -> None:
    with pytest.raises(TypeError, match=r"not builtins\.int"):
        copy(7)


def test_a_profile_of_pil_is_converted_like_that_of_a_file(copy, cat: Path) -> None:
    """A wide space, from memory."""
    image = Image.open(cat).convert("RGB")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    image.info["icc_profile"] = profile.tobytes()
    assert any("profile ignored" in notice for notice in copy(image).notices)


def test_what_is_converted_is_told_by_what_was_given(copy, cat: Path) -> None:
    """By the file of the picture, or by its place and what it is: a copy of ours has no name that anybody knows."""
    Image.open(cat).convert("CMYK").save(cat.with_name("printed.jpg"))
    deep_array = (N * 65535).astype(np.uint16)
    given = [
        cat.with_name("printed.jpg"),
        Image.open(cat.with_name("printed.jpg")),
        cmyk(cat),
        floating(cat),
        deep_array,
    ]
    told = [{notice.partition(": ")[0] for notice in result.notices} for result in copy(given)]
    names = ["picture 2 (Image CMYK)", "picture 3 (Image F)", "picture 4 (ndarray [64, 64, 3] uint16)"]
    assert told == [{name} for name in ("printed.jpg", "printed.jpg", *names)]


def test_half_of_a_pair_of_characters_is_refused_wherever_it_is_given(copy, cat: Path) -> None:
    """Scripts may hold such texts, and no file, no digest and no tokenizer takes them; what is told can be printed."""
    for given in ({"caption": "a cat \ud800"}, {"caption": ["a \udcff cat"]}):
        source = [cat] if isinstance(given["caption"], list) else cat
        try:
            found = copy(source, **given)[0].diagnostics
        except python.RecipeError as wrong:
            found = wrong.diagnostics
            str(wrong).encode()
        assert [each.code for each in found] == ["RT103"]
    with pytest.raises(python.RecipeError) as wrong:
        copy("c\ud800.png")
    assert [each.code for each in wrong.value.diagnostics] == ["RT402"]
    with pytest.raises(ValueError, match="'negative' takes text"):
        copy(cat, negative="\ud800")


def test_bytes_of_a_file_and_open_files_mean_what_the_file_does(copy, cat: Path) -> None:
    turned(cat).save(named := cat.with_name("turned.png"), exif=turned(cat).getexif())
    data = named.read_bytes()
    written = io.BytesIO()
    written.write(data)  # and so stands at its end
    with named.open("rb") as file:
        made = copy([named, memoryview(data), written, file], caption={"turned": "a cat"})
    assert len({pixels(result).tobytes() for result in made}) == 1
    torn, empty, none = copy([data[:200], b"", io.BytesIO(b"no picture")])
    assert [each.diagnostics[0].code for each in (torn, empty, none)] == ["RT504"] * 3
    assert "picture-0" in torn.diagnostics[0].message
    with named.open(encoding="latin-1") as text, pytest.raises(TypeError, match=r"open\(…, 'rb'\).* gives str$"):
        copy(text)


class Walk(str, enum.Enum):  # noqa: UP042  whose str() is the name
    """As scripts keep choices."""

    SOURCE = "source"


def told(value: object, cat: Path) -> object:
    """What the option comes to that a setting gives this value."""
    recipe = python.recipe('let p = "target"\ninvert ddim "cat"->"dog" convention=p')
    (graph,) = recipe.graphs(cat, p=value)
    return next(node.options["convention"] for node in graph.nodes if node.card.family == "invert")


def test_a_setting_means_what_it_does_on_a_stage(cat: Path) -> None:
    assert told(Walk.SOURCE, cat) == told("source", cat) == told(np.str_("source"), cat) == "source"
    recipe = python.recipe('let p = 1\ninvert ddim "cat"->"dog" parts=p')
    for several in ([2, 3], (2, 3), np.array([2, 3]), torch.tensor([2, 3])):
        (graph,) = recipe.graphs(cat, p=several)
        assert [node.options["parts"] for node in graph.nodes if node.card.family == "invert"] == [2, 3]
        assert str(python.invert.ddim(parts=several)) == "invert ddim parts=[2, 3]\n"
    (graph,) = python.recipe('let c = "x"->"y"\ninvert ddim edit=c').graphs(cat, c=python.edit("cat", "dog"))
    (walk,) = (node for node in graph.nodes if node.card.family == "sample")
    assert "dog" in str(walk.inputs["edit"])


@pytest.mark.parametrize(
    "value",
    [None, {"a": 1}, {3}, 1j, b"x", Decimal("0.5"), iter([1]), float("nan"), np.float32("inf"), 10**5000, np.eye(2)],
    ids=lambda value: type(value).__name__,
)
def test_what_no_recipe_has_is_refused_in_one_way_wherever_it_is_given(value: object, cat: Path) -> None:
    """None would else be the text "null", and a mapping the text that JSON makes of it."""
    recipe = python.recipe('let p = "x"\ninvert ddim "cat"->"dog" negative=p')
    doors = [
        lambda: python.invert.ddim(parts=value),
        lambda: python.edit("cat", "dog", weight=[value]),
        lambda: recipe.graphs(cat, p=value),
        lambda: recipe.graphs(cat, p=[value]),
        *([] if value is None else [lambda: recipe.graphs(cat, seed=value)]),
    ]
    for door in doors:
        with pytest.raises((TypeError, ValueError), match=r"a recipe has no (value|number) .*: (give|a picture)"):
            door()


@pytest.mark.parametrize("caption", [b"a cat", [b"a cat"], [3], {0: 3}, 3])
def test_a_caption_that_is_no_text_is_refused(caption: object, cat: Path, copy) -> None:
    with pytest.raises(TypeError, match="a caption is a text"):
        copy(cat, caption=caption)
