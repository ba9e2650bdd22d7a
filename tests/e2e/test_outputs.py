"""Files that go out: endings known beforehand, quality and size, what the source said; by commands and Python alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import retouch as python
from retouch import pictures
from tests.e2e.command import COPY, draw, retouch

pytestmark = pytest.mark.usefixtures("small_for_commands")

SAME = 'open "cat.png" | encode | decode'


def codes(done) -> list[str]:
    return [line.partition("[")[2].partition("]")[0] for line in done.err.splitlines() if line.startswith("error[")]


# ---------------------------------------------------------------- endings

WRONG = {
    f'{SAME} | save "x.txt"': 'write "x.png"; it may end in .png, .jpg, .webp or .tif',
    f'{SAME} | save "x"': 'write "x.png"',
    f'{SAME} | save "{{name}}.gif"': 'write "{name}.png"',
    f'{SAME} | save "x.safetensors"': "'save latents' writes .safetensors",
    'open "cat.png" | mask box left=0 top=0 right=50% bottom=50% | save mask "m.bmp"': 'write "m.png"',
    'open "cat.png" | encode | save latents "x.png"': 'write "x.safetensors"; it may end in .safetensors',
    f'{SAME} | sheet "all.pdf"': 'write "all.png"',
    f'{SAME} | measure "figures.json"': 'write "figures.csv"; it may end in .csv',
}


@pytest.mark.parametrize("recipe", WRONG)
def test_an_ending_that_a_stage_does_not_write_is_refused_beforehand(cat: Path, recipe: str) -> None:
    for command in ("check", "plan", "run"):
        done = retouch(command, "-e", recipe, folder=cat.parent)
        assert done.code == 1
        assert codes(done) == ["RT425"], done.err
        assert WRONG[recipe] in done.err
    with pytest.raises(python.RecipeError, match="RT425"):
        python.recipe(recipe, cat.parent)()
    assert sorted(path.name for path in cat.parent.iterdir()) == ["cat.png", "cat.txt"]


def test_a_file_of_another_is_kept_though_several_pictures_would_share_it(cat: Path) -> None:
    """Else the last picture alone would be refused, and the file overwritten with what the others put into it."""
    draw(cat.with_name("two.png"))
    cat.with_name("all.png").write_bytes(cat.read_bytes())
    command = ("-e", f'{COPY} | sheet "all.png"', "cat.png", "two.png")
    for done in (retouch(each, *command, folder=cat.parent) for each in ("check", "run")):
        assert done.code == 1
        assert codes(done) == ["RT415"], done.err
    assert cat.with_name("all.png").read_bytes() == cat.read_bytes()


def test_an_ending_of_the_command_line_is_refused_beforehand(cat: Path) -> None:
    for command in ("plan", "run"):
        done = retouch(command, "-e", COPY, "cat.png", "-o", "x.gif", folder=cat.parent)
        assert codes(done) == ["RT425"]
        assert "1 | -o x.gif\n" in done.err
        assert "write -o x.png" in done.err
        assert done.err.count("^") == len("x.gif")


def test_an_option_of_another_ending_is_refused_beforehand(cat: Path) -> None:
    done = retouch("run", "-e", f'{SAME} | save "x.png" quality=80', folder=cat.parent)
    assert codes(done) == ["RT426"]
    assert "leave it out, or end the file in .jpg or .webp" in done.err
    set_ = retouch("run", "-e", f'{SAME} | save "x.png"', "--set", "quality=80", folder=cat.parent)
    assert codes(set_) == ["RT426"]
    mixed = f'defaults quality=50\n{SAME} | save "x.png"\n{SAME} | save "x.jpg"\n'
    done = retouch("run", "-e", mixed, folder=cat.parent)
    assert done.code == 0, done.err
    assert Image.open(cat.with_name("x.jpg")).quantization[0][0] > 2


@pytest.mark.parametrize(("path", "what"), [
    ("cat.png/x.png", "'cat.png' is a file, not a folder"),
    ("there.png", "there is a folder of that name"),
    (f"{'x' * 252}.png", "longer than 255 bytes"),
    (f"{'x' * 256}/o.png", "longer than 255 bytes"),
    (f"{'x' * 200}/" * 21 + "o.png", "longer than 4095 bytes"),
])  # fmt: skip
def test_a_place_that_cannot_be_written_is_refused_beforehand(cat: Path, path: str, what: str) -> None:
    cat.with_name("there.png").mkdir()
    for command in ("check", "plan", "run"):
        done = retouch(command, "-e", f'{SAME} | save "{path}"', folder=cat.parent)
        assert done.code == 1
        assert codes(done) == ["RT427"], done.err
        assert what in done.err


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="no /proc here")
def test_a_folder_that_takes_no_files_is_known_even_to_the_administrator(cat: Path) -> None:
    """access() says yes to whoever may do anything."""
    for place in ("/proc/x.png", "/proc/self/new/x.png"):
        done = retouch("check", "-e", f'{SAME} | save "{place}"', "--allow", "/proc", folder=cat.parent)
        assert (done.code, codes(done)) == (1, ["RT427"]), done.err
        assert "nothing may be written in '/proc" in done.err


def test_nothing_is_left_of_the_look_at_a_folder(cat: Path) -> None:
    before = sorted(cat.parent.iterdir()), cat.parent.stat().st_mtime_ns
    assert retouch("check", "-e", SAME, "-o", "x.png", folder=cat.parent).code == 0
    assert (sorted(cat.parent.iterdir()), cat.parent.stat().st_mtime_ns) == before


LONG = "x" * 300


@pytest.mark.parametrize("words", [
    ["check", "-e", "invert ddim", f"{LONG}.png"],
    ["check", "-e", "invert ddim", "cat.png", "-o", LONG],
    ["check", "-e", "invert ddim", "cat.png", "--model", LONG],
    ["check", "-e", f'open "{LONG}.png" | invert ddim | save "o.png"'],
    ["check", "-e", f'invert ddim | mask file "{LONG}.png" | blend latent', "cat.png"],
    ["check", "-e", f'use "{LONG}.retouch"\ninvert ddim', "cat.png"],
    ["check", f"{LONG}.retouch", "cat.png"],
    ["show", f"{LONG}.png"],
    ["rerun", f"{LONG}.png"],
    ["matrix", "-o", f"{LONG}/m.md"],
    ["models", LONG],
])  # fmt: skip
def test_a_name_that_no_system_takes_is_a_name_of_nothing(cat: Path, words: list[str]) -> None:
    """It is told as what is not there, and blames no program."""
    done = retouch(*words, folder=cat.parent)
    assert done.code in (1, 2)
    assert done.err.strip()
    assert "RT501" not in done.err
    assert "OSError" not in done.err


def test_every_ending_that_is_offered_is_written_and_made_again(cat: Path) -> None:
    """The table, the stage's signature and what is written agree."""
    endings = pictures.formats.endings(["picture"])
    assert endings == (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff")
    recipe = "".join(f'{SAME} | save "x{ending}"\n' for ending in endings)
    for _ in range(2):  # the second time over its own files
        done = retouch("run", "-e", recipe, folder=cat.parent)
        assert done.code == 0, done.err
    for ending in endings:
        written = Image.open(cat.with_name(f"x{ending}"))
        assert written.format == pictures.formats.of_file(f"x{ending}").key
        assert pictures.made_by_retouch(cat.with_name(f"x{ending}"))


# ---------------------------------------------------------------- quality and size


def test_quality_and_size_are_options_of_save(cat: Path) -> None:
    recipe = f'{SAME} | save "a.jpg" quality=40 size=32\n{SAME} | save "b.jpg"\n'
    recipe += f'{SAME} | save "c.webp" quality=40\n{SAME} | save "d.webp"\n{SAME} | save "e.png" size=500\n'
    done = retouch("run", "-e", recipe, folder=cat.parent)
    assert done.code == 0, done.err
    a, b, c, d, e = (Image.open(cat.with_name(name)) for name in ("a.jpg", "b.jpg", "c.webp", "d.webp", "e.png"))
    assert (a.size, b.size, e.size) == ((32, 32), (64, 64), (64, 64))
    assert a.quantization[0][0] > b.quantization[0][0]
    assert d.convert("RGB").tobytes() == e.convert("RGB").tobytes() != c.convert("RGB").tobytes()
    assert len(cat.with_name("c.webp").read_bytes()) < len(cat.with_name("d.webp").read_bytes())
    assert "quality=None" in retouch("stages", "save", "image", folder=cat.parent).out


def test_the_longer_side_is_the_size(tmp_path: Path) -> None:
    draw(tmp_path / "wide.png", size=(96, 64))
    recipe = 'open "wide.png" | encode | decode | save "out.png" size=48'
    assert retouch("run", "-e", recipe, folder=tmp_path).code == 0
    assert Image.open(tmp_path / "out.png").size == (48, 32)


# ---------------------------------------------------------------- what the source said

XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6" dc:rights="Ann"/></x:xmpmeta>'


@pytest.fixture
def photo(cat: Path) -> Path:
    """As a camera saves it: turned, with date, copyright, place, resolution and XMP."""
    tags = Image.Exif()
    tags[0x0112], tags[0x0132], tags[0x8298] = 6, "2020:01:02 03:04:05", "(c) Ann"
    tags[0x8769] = {0x9003: "2020:01:02 03:04:05", 0xA002: 9999, 0xA003: 9999, 0x927C: b"maker"}
    tags[0x8825] = {1: "N", 2: (48.0, 8.0, 0.0)}
    path = cat.with_name("photo.jpg")
    Image.open(cat).convert("RGB").resize((64, 96)).save(path, exif=tags, dpi=(300, 300), xmp=XMP, comment=b"hello")
    path.with_suffix(".txt").write_text("a cat")
    return path


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("way", ["command", "python"])
def test_what_the_source_said_is_kept_on_request(photo: Path, ending: str, way: str) -> None:
    out = photo.with_name(f"out.{ending}")
    if way == "command":
        done = retouch("run", "-e", f'{COPY} | save "out.{ending}" keep=["all"]', photo, "--json", folder=photo.parent)
        assert done.code == 0, done.err
        assert "not kept" not in str(done.event("result")["notices"])
    else:
        python.recipe(COPY, photo.parent)(photo).image.save(out, keep=["all"])
    said = pictures.read_about(out)
    assert said.exif[0x8298] == "(c) Ann"
    assert said.exif[0x0132] == said.more[0x9003] == "2020:01:02 03:04:05"
    assert (said.more[0xA002], said.more[0xA003]) == Image.open(out).size == (96, 64)
    assert tuple(map(float, said.gps[2])) == (48, 8, 0)
    assert [round(side) for side in said.dpi or ()] == [300, 300]
    assert said.xmp == XMP.replace(b"6", b"1", 1)
    assert "hello" in said.text.values()
    assert Image.open(out).getexif().get(0x0112, 1) == 1  # Pillow reads XMP's, too
    assert 0x927C not in said.more
    assert (pictures.metadata(out) or {})["recipe"].startswith(COPY)


def test_what_is_kept_is_what_was_asked_for(photo: Path) -> None:
    done = retouch("run", "-e", f'{COPY} | save "out.jpg" keep=["exif"]', photo, "--json", folder=photo.parent)
    said = pictures.read_about(photo.with_name("out.jpg"))
    assert said.exif[0x8298] == "(c) Ann"
    assert (said.gps, said.xmp, said.text) == ({}, None, {})
    assert not said.dpi or said.dpi[0] == 72  # what Pillow reads where nothing is said
    assert "not kept" not in str(done.event("result")["notices"])  # the user has chosen


def test_what_is_dropped_is_told_once_and_only_where_it_is_worth_it(photo: Path, cat: Path) -> None:
    draw(cat.with_name("other.png"))
    again = photo.with_name("second.jpg")
    again.write_bytes(photo.read_bytes())
    again.with_suffix(".txt").write_text("a cat")
    done = retouch("run", "-e", COPY, cat, photo, again, "-o", "out", "--json", folder=photo.parent)
    told = [notice for event in done.events if event["event"] == "result" for notice in event["notices"]]
    (notice,) = [notice for notice in told if "not kept" in notice]
    assert notice.startswith(
        "photo and 1 more: not kept: EXIF (date, copyright), where it was taken, 300 dpi, XMP, text"
    )
    assert 'keep=["exif", "gps", "dpi", "xmp", "text"]' in notice
    plain = retouch("run", "-e", COPY, cat, "other.png", "-o", "plain", "--json", folder=photo.parent)
    assert "not kept" not in plain.out
    silent = retouch("run", "-e", f'{COPY} | save "s.png" keep=[]', photo, "--json", folder=photo.parent)
    assert "not kept" not in silent.out
    assert any("not kept" in notice for notice in python.recipe(COPY, photo.parent)(photo).notices)


def test_text_of_other_programs_is_kept_in_its_own_place(cat: Path) -> None:
    info = PngInfo()
    info.add_text("parameters", "a cat, steps: 20")
    Image.open(cat).save(cat.with_name("made.png"), pnginfo=info)
    recipe = 'open "made.png" caption="a cat" | encode | decode'
    recipe = f'{recipe} | save "out.png" keep=["text"]\n{recipe} | save "out.webp" keep=["text"]\n'
    assert retouch("run", "-e", recipe, folder=cat.parent).code == 0
    assert Image.open(cat.with_name("out.png")).info["parameters"] == "a cat, steps: 20"
    assert "a cat, steps: 20" in pictures.read_about(cat.with_name("out.webp")).text["comment"]


def test_a_profile_that_is_kept_holds_the_colours_that_sRGB_does(cat: Path, tmp_path: Path) -> None:  # noqa: N802
    """The shipped linear profile: its file looks like the sRGB one to whoever manages colours."""
    linear = Path(__file__).parent / "cases" / "linear_srgb_profile.png"
    recipe = f'open "{linear.name}" caption="a cat" | encode | decode'
    (tmp_path / linear.name).write_bytes(linear.read_bytes())
    recipe = f'{recipe} | save "own.tif" keep=["profile"]\n{recipe} | save "plain.png"\n'
    done = retouch("run", "-e", recipe, folder=tmp_path)
    assert done.code == 0, done.err
    own, plain = Image.open(tmp_path / "own.tif"), pictures.read(tmp_path / "plain.png").rgb.astype(int)
    assert own.info["icc_profile"] == Image.open(linear).info["icc_profile"]
    back = pictures.read(tmp_path / "own.tif").rgb.astype(int)
    assert abs(back - plain).mean() < 3  # eight bits of a linear space are coarse in the dark
    assert abs(np.asarray(own).astype(int) - plain).mean() > 20  # the numbers themselves are others


def test_a_title_that_gives_way_to_the_recipe_is_told(photo: Path) -> None:
    tags = Image.Exif()
    tags[0x010E] = "On the beach"
    Image.open(photo).save(photo.with_name("titled.jpg"), exif=tags)
    recipe = 'open "titled.jpg" caption="a cat" | encode | decode | save "out.jpg" keep=["exif"]'
    done = retouch("run", "-e", recipe, "--json", folder=photo.parent)
    assert "stands where the source had its title" in str(done.event("result")["notices"])
    unstamped = retouch("run", "-e", recipe, "--stamp", "none", "--force", "--json", folder=photo.parent)
    assert "title" not in str(unstamped.event("result")["notices"])
    assert Image.open(photo.with_name("out.jpg")).getexif()[0x010E] == "On the beach"


@pytest.mark.parametrize(
    ("recipe", "code"),
    [
        ('measure "f.csv"', 1),
        ('mask box right=50% | save mask "m.png"', 1),
        ("mask box right=50% | save mask", 0),
        ('save "own.png"\nmask box right=50% | save mask "m.png"', 0),
    ],
)
def test_a_file_that_no_result_would_go_to_is_refused(tmp_path, recipe, code):
    draw(tmp_path / "cat.png")
    done = retouch("check", "-e", recipe, "cat.png", "-o", "dog.png", folder=tmp_path)
    assert done.code == code, done.err
    assert ("RT459" in done.err) == bool(code)
    assert retouch("check", "-e", recipe, "cat.png", "-o", "out", folder=tmp_path).code == 0
