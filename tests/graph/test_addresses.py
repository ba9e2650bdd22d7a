"""A web address in place of a name or path is told as one, with what to type for what lies there."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from retouch.addresses import file_instead, is_address, model_instead
from retouch.cli.main import main

EDIT = 'invert ddim "cat"->"dog"'
HUB = "https://huggingface.co/owner/name"
GET = "type 'retouch models get owner/name' once, and name 'owner/name'"
WRONG = [
    (["check", "cat.png", "-e", f'model "{HUB}"\n{EDIT}'], "RT412", GET),
    (["check", "cat.png", "-e", EDIT, "--model", "hf.co/owner/name/tree/main"], "RT412", GET),
    (
        ["check", "cat.png", "-e", f'model "storybook" lora=["{HUB}/blob/main/a.safetensors*0.5"]\n{EDIT}'],
        "RT433",
        "/res",
    ),
    (
        ["check", "cat.png", "-e", f'model "storybook" vae="https://civitai.com/models/3"\n{EDIT}'],
        "RT433",
        "download it",
    ),
    (["check", "cat.png", "-e", f'eye clip "{HUB}" | {EDIT} | guide image_text'], "RT450", "download its files"),
    (["check", "cat.png", "-e", f'{EDIT} | mask file "www.x.org/m.png" | blend latent'], "RT413", 'name "m.png"'),
    (["check", "cat.png", "-e", f'{EDIT} | save "s3://b/o.png"'], "RT413", "write a file, and bring it there"),
    (["check", "-e", EDIT, "https://x.org/cat.png"], "RT402", 'download it and name "cat.png"'),
    (["check", "-e", EDIT, "file:///home/a%20b.png"], "RT402", 'write its path: "/home/a b.png"'),
    (["check", "https://x.org/r.retouch"], "there is no recipe", 'name "r.retouch"'),
    (["show", "https://x.org/r.png"], "does not exist", 'name "r.png"'),
    (["status", "https://x.org/"], "holds no journal", "download it and name the file"),
    (["models", HUB], "RT416", GET),
    (["models", "get", HUB], "is no id of the hub", GET),
]


@pytest.mark.parametrize(("line", "code", "said"), WRONG, ids=lambda part: part[-1] if isinstance(part, list) else "")
def test_an_address_is_answered_with_what_to_type(line, code, said, tmp_path, monkeypatch, capsys):
    Image.new("RGB", (64, 64)).save(tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)
    with suppress(SystemExit):
        assert main(line) != 0
    told = capsys.readouterr().err
    assert code in told
    assert said in told


@pytest.mark.parametrize(
    ("address", "model", "file"),
    [
        (f"{HUB}/", GET, "download it and name the file"),
        (f"{HUB}/tree/fp16", "get owner/name@fp16' once, which says what to name", "download it"),
        (
            f"{HUB}/blob/main/x.safetensors?download=true",
            f"{GET}; or download {HUB}/resolve/main/x.safetensors",
            "/resolve",
        ),
        ("git@hf.co:owner/name", GET, "download it"),
        ("ssh://git@huggingface.co/owner/name.git", GET, "download it"),
        ("git@github.com:owner/name.git", "download its folder", "download it"),
        ("https://huggingface.co/datasets/owner/name", "download its folder or its safetensors file", "download it"),
        ("https://www.civitai.com/models/1/a", "download its safetensors file from there", "download it"),
    ],
)
def test_what_lies_behind_an_address_decides_what_to_type(address: str, model: str, file: str) -> None:
    assert is_address(address)
    assert model in model_instead(address)
    assert file in file_instead(address)


@pytest.mark.parametrize(
    "text", ["owner/name", "C:/a/b", "./hf.co", "a/www.png", "wwwhat.png", "x:y.png", "hf.co", "git@home.png"]
)
def test_names_and_paths_are_no_addresses(text: str) -> None:
    assert not is_address(text)


def test_a_folder_that_is_called_like_an_address_is_a_folder(tmp_path: Path, monkeypatch, capsys) -> None:
    (tmp_path / "www.x.org").mkdir()
    for name in ("cat.png", "www.x.org/m.png"):
        Image.new("L", (64, 64), 255).save(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    main(["check", "cat.png", "-e", f'{EDIT} | mask file "www.x.org/m.png" | blend latent'])
    assert "RT413" not in capsys.readouterr().err
