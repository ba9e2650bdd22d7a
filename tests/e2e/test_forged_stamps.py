"""Anyone can write what a picture says of itself: a rerun of it harms nothing, whatever that is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image as Pil
from PIL.PngImagePlugin import PngInfo

from retouch.check.check import check
from retouch.check.reading.environment import Environment
from retouch.core.values import Image
from retouch.graph.nodes import Picture
from retouch.pictures import Unwritable, metadata
from retouch.pictures.stamp import KEY
from retouch.plugins import registry
from retouch.run.files.outbox import FileOut
from retouch.run.files.provenance import Provenance, Request
from retouch_storybook.world import Scene, render
from tests.e2e.command import Ran, draw, retouch

pytestmark = pytest.mark.usefixtures("small_for_commands")

OPEN = 'open "cat.png" caption="an orange cat in a meadow"'
EDITED = f'x = {OPEN} | invert sdedit "cat"->"dog" steps=2\n'


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a picture that retouch made, as a stranger sends it."""
    folder = tmp_path_factory.mktemp("made")
    draw(folder / "cat.png")
    done = retouch("run", "-e", f'{EDITED}x | save "dog.png"\n', folder=folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """The same with files of the user's beside it, which are not retouch's."""
    home = Path(shutil.copytree(made, tmp_path / "home"))
    for name in ("accounts.csv", "x.png", "x.safetensors", "notes.txt"):
        (home / name).write_text(f"the user's {name}")
    (home / "link.png").symlink_to("x.png")
    (tmp_path / "beyond.png").write_text("the user's, elsewhere")
    return home


def forged(home: Path, **told: Any) -> Path:
    """The picture with other words in its stamp; what is not text is written as JSON."""
    stamp = metadata(home / "dog.png") or {}
    stamp |= {name: text if isinstance(text, str) else json.dumps(text) for name, text in told.items()}
    return forged_text(home, json.dumps({name: text for name, text in stamp.items() if text != "null"}))


def forged_text(home: Path, text: str) -> Path:
    info = PngInfo()
    info.add_itxt(KEY, text)
    render(Scene("dog", "orange", "in a meadow", seed=4), 64).save(home / "sent.png", pnginfo=info)
    return home / "sent.png"


def files(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def harmless(home: Path, *args: object) -> Ran:
    """Rerun it; nothing but the file that is asked for may have changed."""
    before = files(home.parent)
    done = retouch("rerun", "sent.png", *args, folder=home)
    assert files(home.parent) == before
    assert "Traceback" not in done.err
    return done


@pytest.mark.parametrize(
    ("line", "result"),
    [
        ('x | measure "{where}accounts.csv"', "measure.change#1"),
        ('x | sheet "{where}x.png"', "sheet.contact#1"),
        ('x | save latents "{where}x.safetensors"', "save.latents#1"),
    ],
)
@pytest.mark.parametrize("where", ["", "../home/", "{home}/"])
def test_a_result_that_is_no_picture_is_refused_and_writes_nothing(home, line, result, where):
    where = where.replace("{home}", str(home))
    forged(home, recipe=EDITED + line.replace("{where}", where), result=result)
    done = harmless(home)
    assert (done.code, done.out) in {(1, ""), (4, "")}
    assert "error[RT5" in done.err


PATHS = [
    "x.png",
    "link.png",
    "../beyond.png",
    "{home}/x.png",
    "cat.png",
    "sent.png",
]


@pytest.mark.parametrize("path", PATHS)
def test_a_picture_is_made_again_without_its_stamp_choosing_where(home, path):
    recipe = EDITED + f'x | save "{path.replace("{home}", str(home))}"'
    forged(home, recipe=recipe, result="save.image#1")
    done = harmless(home)
    assert done.code == 0, done.err


@pytest.mark.parametrize("path", ["accounts.csv", "{home}/notes.txt"])
def test_a_stamp_that_saves_a_picture_as_something_else_is_refused(home, path):
    forged(home, recipe=EDITED + f'x | save "{path.replace("{home}", str(home))}"', result="save.image#1")
    done = harmless(home)
    assert done.code == 1
    assert "error[RT425]" in done.err


@pytest.mark.parametrize("line", ['measure "accounts.csv"', 'sheet "x.png"', 'save mask "x.png"'])
def test_other_results_of_the_recipe_are_not_made(home, line):
    area = f'm = {OPEN} | mask box left=0.5\nm | save mask "x.png"\n'
    other = area if "mask" in line else f"x | {line}\n"
    forged(home, recipe=f'{EDITED}{other}x | save "dog.png"\n', result="save.image#1")
    done = harmless(home)
    assert done.code == 0, done.err


def test_a_mask_is_made_again_as_a_picture(home):
    forged(home, recipe=f'm = {OPEN} | mask box left=0.5\nm | save mask "x.png"\n', result="save.mask#1")
    assert harmless(home, "--json").code == 0


def test_a_rerun_makes_one_new_file_where_the_command_line_says(home):
    forged(home, recipe=f'{EDITED}x | save "{home}/x.png"\n', result="save.image#1")
    before = files(home.parent)
    assert retouch("rerun", "sent.png", "-o", "new.png", folder=home).code == 0
    after = files(home.parent)
    assert after.keys() - before.keys() == {str(home / "new.png")}
    assert {name: after[name] for name in before} == before


@pytest.mark.parametrize(
    "told",
    [
        *({part: wrong} for part in ("inputs", "settings", "plugins") for wrong in ([], [1], "3", {"a": 1}, {"a": {}})),
        *({"stages": wrong} for wrong in ({}, "3", [1], [{}], [{"stage": 1, "options": {}}], [{"stage": "x"}])),
        *({part: "{"} for part in ("inputs", "settings", "plugins", "stages")),
        {"inputs": "[" * 50_000},
        {"dtype": "float99"},
    ],
    ids=lambda told: str(told)[:60],
)
def test_a_part_of_the_wrong_form_is_told_by_its_code(home, told):
    forged(home, **told)
    done = harmless(home)
    assert (done.code, done.out) == (1, "")
    assert "error[RT508]" in done.err
    assert json.loads(harmless(home, "--json").out)["code"] == "RT508"


@pytest.mark.parametrize(
    "told",
    [
        {"result": "save.image#9"}, {"result": ""}, {"result": "null"}, {"inputs": {}}, {"inputs": {"cat.png": ""}},
        {"inputs": {"../beyond.png": "0" * 64}}, {"plugins": {"stranger": ""}}, {"model_digest": "0" * 32},
        {"stages": [{"stage": "mask mine", "options": {}}]}, {"recipe": "null"},
    ],
    ids=lambda told: str(told)[:60],
)  # fmt: skip
def test_what_does_not_fit_is_told_by_its_code(home, told):
    forged(home, **told)
    done = harmless(home)
    assert (done.code, done.out) == (1, "")
    assert "error[RT" in done.err


def test_a_file_that_the_recipe_opens_is_its_source_whatever_the_stamp_says(home):
    forged(home, source_from="command line")
    done = harmless(home)
    assert (done.code, done.out.partition(":")[0]) == (0, "different")


@pytest.mark.parametrize(
    "told",
    [
        {"recipe": "invert ddim |"}, {"recipe": "\x00\x1b[2J"}, {"recipe": "x" * 100_000}, {"recipe": ""},
        {"settings": {"steps": "many"}}, {"settings": {"no such": "1"}},
        {"model_option": "digest:0"}, {"model_option": "/", "model_digest": "0"},
        {"recipe": EDITED.replace("cat.png", "/etc/hostname") + 'x | save "y.png"'},
        {"recipe": f'use "/etc/hostname"\n{EDITED}x | save "y.png"'},
    ],
    ids=lambda told: str(told)[:60],
)  # fmt: skip
def test_a_recipe_that_does_not_pass_the_check_says_why(home, told):
    forged(home, **told)
    done = harmless(home)
    assert (done.code, done.out) == (1, "")
    assert "error[RT" in done.err


FORMS = ["", "[]", "{", '{"recipe": 1}', '{"recipe": null}', "[" * 100_000, " " * 300_000 + "{}"]


@pytest.mark.parametrize("text", FORMS, ids=range(len(FORMS)))
def test_a_stamp_of_another_form_is_told_by_its_code(home, text):
    forged_text(home, text)
    for command in ("show", "rerun"):
        done = retouch(command, "sent.png", folder=home)
        assert (done.code, done.out) == (1, "")
        assert "error[RT508]" in done.err


def test_control_characters_are_spelt_out(home):
    """A terminal would obey them: clear the screen, move the cursor, write backwards."""
    evil = "\x1b]0;owned\x07\x9b2J\x7f\u202e\x00\r"
    options = [{"id": "a", "stage": f"open{evil}", "options": {evil: f"{evil}\nforged: line"}}]
    told = {"recipe": f"# {evil}\n", "caption": f"{evil}\nmode: exact", "source": evil, "model": evil}
    forged(home, **told, settings={evil: evil}, plugins={evil: evil}, stages=options)
    for args in (["show", "sent.png"], ["show", "sent.png", "--json"], ["rerun", "sent.png"]):
        done = retouch(*args, folder=home)
        assert not set("\x1b\x07\x9b\x7f\u202e\x00\r") & set(done.out + done.err)
    assert "\nmode: exact" not in retouch("show", "sent.png", folder=home).out
    assert json.loads(retouch("show", "sent.png", "--json", folder=home).out)["source"] == evil


def test_a_forged_size_is_no_picture(home):
    Pil.new("RGB", (8, 8)).save(home / "sent.png")
    assert harmless(home).code == 1


def test_a_stage_writes_no_file_but_the_one_it_was_given(home):
    """Nor can a plugin's, whose options may name other files: the outbox asks what to write inside, and is refused."""
    picture = Picture(home / "cat.png", 0, "a cat")
    (graph,) = check("encode | decode", Environment(registry.load(), home, (picture,), output=home / "o.png")).graphs
    out = FileOut(Provenance(graph, Request(), {}))
    blank = Image(torch.zeros(3, 8, 8))
    before = files(home.parent)
    for name in ("x.png", "../beyond.png", "new.png"):
        with pytest.raises(Unwritable, match="was given"):
            out.image(str(home / name), blank)
    assert files(home.parent) == before
    out.image(str(home / "o.png"), blank)
    assert files(home.parent).keys() - before.keys() == {str(home / "o.png")}
