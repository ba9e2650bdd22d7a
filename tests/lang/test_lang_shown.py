"""What `explain` shows is what a check says: every code has its example, and the words are the real ones."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from retouch.check.check import check
from retouch.lang.codes import CODES
from retouch.lang.diagnostics import Diagnostic, Report
from retouch.lang.explain import SHOWN, explain, shown
from retouch.lang.parse import parse
from retouch.lang.syntax import NOWHERE
from tests.lang.stages import world

ROOT = Path(__file__).parents[2]

# Codes that no recipe alone can show: what is said in a usual case.
USUAL = {
    "RT123": {
        "what": "it is UTF-16",
        "mend": "save it as UTF-8, in an editor or by: iconv -f UTF-16 -t UTF-8 OLD > NEW",
    },
    "RT225": {"setting": "--set guidance=9", "name": "guidance", "value": "2"},
    "RT244": {"stage": "tiles ramps"},
    "RT409": {"path": "dog.png"},
    "RT418": {"path": "cat.txt", "what": "it is not UTF-8", "mend": "save what the picture shows in it, as UTF-8"},
    "RT419": {"path": "cat.txt"},
    "RT422": {"path": "cat.txt", "what": "BREAK", "mend": 'write "a cat, a hat"; a prompt is read as one text'},
    "RT428": {"what": "its values go from 0 to 255, and a picture's from 0 to 1", "mend": "write x / 255"},
    "RT430": {"what": "model 'owner/name' is not on this machine", "mend": "retouch models get owner/name"},
    "RT432": {"name": "style.safetensors", "count": 264, "first": "lora_te2_text_model_encoder_layers_0_mlp_fc1.alpha"},
    "RT433": {
        "option": "vae",
        "name": "vea.safetensors",
        "what": "'vea.safetensors' cannot be read: No such file or directory",
        "mend": "did you mean 'vae.safetensors'?",
    },
    "RT434": {
        "path": "style.safetensors",
        "model": "storybook",
        "what": "'style.safetensors' has no layer of this model; its first tensor is lora_unet_a.alpha",
    },
    "RT435": {
        "stage": "mask face",
        "name": "face",
        "what": "'face.safetensors' is not there",
        "mend": "hf download owner/name face.safetensors --revision 0123456789abcdef0123456789abcdef01234567",
    },
    "RT561": {"stage": "draw repeated"},
    "RT566": {"stage": "draw repeated"},
    "RT450": {
        "stage": "eye clip",
        "name": "dino",
        "what": "it is a vit, and this reads clip",
        "mend": "name the folder of a clip, with config.json and safetensors",
    },
    "RT455": {
        "path": "dog.safetensors",
        "model": "storybook",
        "what": "its weights were tuned from another network",
    },
    "RT456": {"what": "nothing before it tunes one", "mend": "tune it first, by 'tune diffusionclip'"},
    "RT457": {"stage": "tune weights", "other": "tune diffusionclip"},
    "RT459": {"path": "dog.png"},
    "RT460": {
        "path": "dog.png",
        "what": "'c2pa' of the plugin 'c2pa' is at fault: its sign() gives a str, and no bytes",
        "mend": "report it to c2pa",
    },
    "RT461": {"count": "2 lines", "path": "out/.retouch.jsonl"},
    "RT462": {
        "path": "out/.retouch.jsonl",
        "who": "process 4711 (retouch), which is stopped, begun 2026-11-27 20:31:05",
        "mend": "let it go on: kill -CONT 4711; or end it: kill -KILL 4711",
    },
    "RT468": {"stage": "guide range"},
    "RT463": {
        "path": "ink.safetensors",
        "whose": "Stable Diffusion XL ('stable-diffusion-xl-v1-base/lora')",
        "model": "Stable Diffusion 1/2",
    },
    "RT464": {"other": "tune dreambooth"},
    "RT465": {
        "path": "toy.safetensors",
        "model": "storybook",
        "what": "<toy> is [1, 768], and what the text_encoder reads has 96 numbers a token",
    },
    "RT466": {"stage": "tune textual_inversion", "model": "flux"},
    "RT467": {"stage": "save embedding"},
    "RT469": {"stage": "tune lora", "step": 12},
    "RT458": {"stage": "tune prompts", "what": "'tune sine' learns none"},
    "RT431": {
        "name": "owner/name",
        "what": "the transfer of 'unet/diffusion_pytorch_model.safetensors' broke at 1,000 of 3,438,167,536 bytes",
        "mend": "give the same command again; it goes on from there",
    },
    "RT501": {"stage": "mask mine", "what": "IndexError: index 64 is out of bounds", "plugin": "mine"},
    "RT515": {"stage": "mask mine", "wanted": "a mask [h, w] in [0, 1]", "got": "values up to 5", "plugin": "mine"},
    "RT516": {"stage": "mask mine", "plugin": "mine", "what": "the default dtype"},
    "RT517": {"stage": "mask mine", "port": "latents", "plugin": "mine"},
    "RT518": {"stage": "sample walk", "plugin": "mine", "what": "writes 'q' in rows that its touch does not name"},
    "RT908": {"plugin": "mine", "wanted": "retouch >=2", "have": "1.0"},
    "RT502": {"metric": "psnr", "value": "24.1", "wanted": "at least 28"},
    "RT503": {"what": "one row of 'sample walk'"},
    "RT505": {
        "stage": "sample walk",
        "mend": "run with --dtype float32; if it was, with a lower guidance or more steps",
    },
    "RT923": {"name": "cat", "how": "ended by SIGSEGV"},
    "RT924": {"name": "cat", "how": "ended by SIGKILL, as when memory is short"},
    "RT925": {"what": "is not installed", "mend": "pip install 'retouch[ray]'"},
    "RT451": {"what": "the package 'c2pa-python' is not installed", "mend": "pip install 'retouch[c2pa]'"},
    "RT452": {
        "what": "the key 'mine.key' may be used by others: its permissions are 644",
        "mend": "chmod 600 mine.key, and sign with another key if others could have taken it",
    },
    "RT453": {"path": "x.csv", "endings": ".png, .jpg, .webp or .tif"},
    "RT454": {"what": "'retouch bench quality'"},
    "RT926": {"what": "a their_models.Config"},
    "RT583": {"path": "wall.tif"},
    "RT584": {
        "stage": "open views",
        "path": "cat",
        "what": "3 of 20 photographs have no transparency, such as 'images/007.png': all of them counts",
        "mend": "cut the thing out of these as well, or take the transparency off the others",
    },
    "RT507": {
        "path": "out/dog.png",
        "what": "No space left on device",
        "mend": "free some room, or choose another folder",
    },
    "RT335": {
        "stage": "blend pixel",
        "a": "image",
        "size": "300×40 pixels",
        "b": "source",
        "other": "64×64 pixels",
        "mend": "take both from one picture, or open one of them with size=…",
    },
    "RT336": {"stage": "match lowpass"},
    "RT564": {"stage": "guide direction", "what": "changes nothing: weight=0", "mend": "give it another value"},
    "RT132": {
        "stage": "adjust bigger",
        "made": "made 128×128 pixels of 64×64",
        "what": "'blend pixel' failed: the picture is [128, 128], and its source [64, 64]",
        "plugin": "mine (mine.py, line 7)",
    },
    "RT131": {"format": "JPEG", "blend": "blend pixel", "mend": "let the file end in .png"},
    "RT563": {"longer": 128, "model": "storybook", "trained": 64, "mend": "let it be made smaller: open … size=64"},
    "RT565": {"stage": "match lowpass", "blend": "blend pixel"},
    "RT511": {"stage": "sample walk", "why": "", "mend": "use other words"},
    "RT512": {"word": "rainbow", "tokens": 75, "rest": "rainbow over the sea"},
    "RT513": {"stage": "mask diffedit", "mend": "try a lower threshold"},
    "RT514": {"stage": "mask diffedit", "mend": "try a higher threshold"},
    "RT508": {"path": "dog.png", "what": "'inputs' is not JSON"},
    "RT509": {"path": "dog.png", "what": "'cat.png' is not below out", "mend": "allow its folder with --allow DIR"},
    "RT510": {"stage": "crop window"},
    "RT560": {
        "stage": "gan invert",
        "side": 64,
        "width": 512,
        "height": 512,
        "mend": "let it be made smaller: open … size=64",
    },
    "RT576": {"family": "PixArt", "plugin": "pixart", "what": "its forward() gives [1, 8, 64, 64] for [1, 4, 64, 64]"},
    "RT577": {
        "family": "PixArt",
        "plugin": "pixart",
        "mend": "run with --dtype float32; if it was, with a lower guidance or more steps",
    },
    "RT578": {"family": "PixArt", "plugin": "pixart", "what": "the default dtype"},
    "RT570": {
        "stage": "open views",
        "path": "cat",
        "what": "it has no transforms.json, which says where the cameras stood",
        "mend": "make it with nerfstudio's 'ns-process-data' or instant-ngp's 'colmap2nerf.py'",
    },
    "RT571": {"path": "cat", "what": "k1 of 0001.png is 0.1", "mend": "undistort them first"},
    "RT572": {"path": "cat", "what": "'0002.png' is not there", "mend": "put the picture there"},
    "RT573": {
        "path": "cat",
        "what": "the transform_matrix of 0001.png is not four rows of four numbers",
        "mend": "write the matrix from camera to world",
    },
    "RT574": {"path": "cat", "what": "0001.png has no focal length", "mend": "write fl_x and fl_y in pixels"},
    "RT575": {
        "stage": "revise dataset",
        "what": "finds no place in the field that enough views take into their masks",
        "mend": "look at the masks, or let a smaller share of the views decide: share=0.5",
    },
    "RT579": {
        "stage": "fit saved",
        "path": "cat.safetensors",
        "what": "it is a field of version 1, and this reads 2",
        "mend": "write it anew by 'save field' (retouch rerun FILE, if it says how it was made)",
    },
    "RT245": {"stage": "save mesh", "asked": "0.9", "most": "0.42", "mend": "write opacity=0.37"},
    "RT582": {
        "stage": "upscale lanczos",
        "what": "all of 'wall.png'",
        "count": 96,
        "most": 40,
        "mend": "edit a part of it: 'mask … | crop' before that and 'paste' behind",
    },
    "RT436": {"stage": "attend background"},
    "RT901": {"plugin": "mine", "wanted": 2, "have": 1, "mend": "retouch"},
    "RT902": {"plugin": "mine", "what": "ModuleNotFoundError: no module named 'einops'"},
    "RT903": {"family": "invert", "method": "ddim", "a": "yours", "b": "mine", "mend": "write invert yours.ddim"},
    "RT904": {"stage": "invert mine", "what": "the option 'steps' takes a number or a list"},
    "RT905": {"plugin": "mine", "hook": "retouch_stagse", "mend": "did you mean 'retouch_stages'?"},
    "RT906": {"type": "Mesh", "a": "mine", "b": "yours"},
    "RT907": {"stage": "blend local"},
    "RT909": {"stage": "mask mine", "setting": "rows", "what": "'1 / n': division by zero", "plugin": "mine"},
    "RT920": {"name": "soft-box", "what": "it is small letters, digits and single _", "mend": "write 'soft_box'"},
    "RT921": {"name": "ddim", "what": "a stage 'invert ddim'", "mend": "retouch stages invert ddim"},
    "RT922": {"folder": "retouch-softbox", "what": "has files in it"},
}


def said(code: str) -> str:
    """What is said about the example of a code, with the file's folder left out."""
    row = CODES[code]
    if code in USUAL:
        report = Report()
        report.add(code, NOWHERE, **USUAL[code])
        (item,) = report.items
        return f"{item.severity}[{code}]: {item.message}\n = help: {item.help}"
    items = found(code, row.example)
    assert items, f"the example of {code} does not trigger it: {row.example!r}"
    item = items[0]
    return item.render(row.example).replace(str(world().folder), "…")


def found(code: str, text: str) -> list[Diagnostic]:
    """What a check says of this code. One is about the command line, which then names no picture."""
    around = replace(world(), pictures=()) if code == "RT408" else world()
    return [item for item in check(text, around).diagnostics if item.code == code]


def page() -> str:
    """The whole file."""
    return "\n\n".join(map(said, CODES)) + "\n"


def test_what_explain_shows_is_what_is_said():
    """After a change that is meant: `python -m tests.lang.test_lang_shown`, and read what changed."""
    assert SHOWN.read_text("utf-8") == page(), "remake it by: python -m tests.lang.test_lang_shown"


@pytest.mark.parametrize("code", CODES)
def test_a_code_has_an_example_with_a_mend_or_a_usual_case(code):
    """Each code once; the example triggers it, and the mend does not."""
    row = CODES[code]
    assert bool(row.example) == bool(row.mend) != (code in USUAL)
    if row.example:
        assert found(code, row.example)
        assert not parse(row.mend)[1]
        assert code.startswith("RT1") or not check(row.mend, world()).errors


@pytest.mark.parametrize("code", CODES)
def test_a_page_shows_the_real_words(code):
    """Nothing is left open in it."""
    text = explain(code)
    assert shown()[code].splitlines()[0] in text
    assert "{" not in text.replace("{name}", "").replace("{nmae}", "") or code == "RT406"


@pytest.mark.parametrize("code", CODES)
def test_help_says_something_else_than_the_message(code):
    """What is wrong stands in the one, what to do in the other: no four words in a row are said twice."""
    head, help_ = (re.search(pattern, shown()[code])[1].lower() for pattern in (r"\]: (.*)", r"= help: (.*)"))
    message, mend = re.findall(r"\w+", head), re.findall(r"\w+", help_)
    runs = {tuple(message[i : i + 4]) for i in range(len(message) - 3)}
    assert not runs & {tuple(mend[i : i + 4]) for i in range(len(mend) - 3)}


def test_every_code_is_raised_somewhere_and_every_code_that_is_raised_is_registered():
    """No row is dead, and none is missing."""
    sources = [*(ROOT / "engine").rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    code = [path for path in sources if path.parent.name != "codes"]
    raised = set(re.findall(r'"(RT\d{3})"', "\n".join(path.read_text("utf-8") for path in code)))
    assert raised - CODES.keys() == set()
    assert CODES.keys() - raised == set()


def test_every_code_has_a_test():
    """Each is named in a test, or is raised by its example here."""
    tests = "\n".join(path.read_text("utf-8") for path in (ROOT / "tests").rglob("test_*.py") if path != Path(__file__))
    assert {code for code in USUAL if code not in tests} == set()


if __name__ == "__main__":
    SHOWN.write_text(page(), "utf-8")
