"""What a plan says of memory and time: exact weights, measured formulas, and rates that this machine has shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from retouch.cli.main import main
from retouch.graph import working_memory
from retouch.models import rates
from retouch.models.catalog import find
from retouch.models.rates import Pace, Rate
from retouch.models.recognise import look_into

SD15 = {"block_out_channels": [320, 640, 1280, 1280], "layers_per_block": 2}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RETOUCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (60, 64)).save("cat.png")
    return tmp_path / "cache" / "rates.json"


def planned(capsys: pytest.CaptureFixture[str], *words: str) -> dict:
    assert main(["plan", "--json", "-e", 'invert ddim "cat"->"dog"', *words]) == 0
    return json.loads(capsys.readouterr().out)["estimates"][0]


def rate(per_second: float = 10.0, when: float = 1.0, **other) -> Rate:
    given = {"model": find("storybook").digest, "device": "cpu", "dtype": "float32", "height": 16, "width": 16}
    return Rate(**(given | {"threads": 2} | other), rows_per_second=per_second, when=when)


@pytest.mark.parametrize(
    ("config", "cells", "megabytes"),
    # Peak of resident memory over that before, less 20 MB that any pass takes: engine/README.md says of which runs.
    [(SD15, (64, 64), 212.9), ({"block_out_channels": [64, 96, 128], "layers_per_block": 1}, (16, 16), 2.71),
     ({"block_out_channels": [64, 96, 128], "layers_per_block": 1}, (32, 32), 10.5),
     ({"_class_name": "UNet2DModel", "block_out_channels": [32, 64, 128, 192], "layers_per_block": 1},
      (128, 128), 36.4)],
)  # fmt: skip
def test_a_row_is_within_15_percent_of_what_was_measured(config, cells, megabytes) -> None:
    room = working_memory.UNETS[config.get("_class_name", "UNet2DConditionModel")]
    assert 4 * working_memory.unet(config, cells, room) / 1e6 == pytest.approx(megabytes, rel=0.15)


SD3, FLUX = "SD3Transformer2DModel", "FluxTransformer2DModel"
FLUX2, QWEN = "Flux2Transformer2DModel", "QwenImageTransformer2DModel"


@pytest.mark.parametrize(
    ("kind", "side", "megabytes"),
    # A row of four, 4,096 tokens of a picture and 256 of a text, 1,024 wide: engine/README.md says of which networks.
    [(SD3, 2, 224), (FLUX, 2, 267), (FLUX2, 1, 388), (QWEN, 2, 252)],
)
def test_a_row_of_a_transformer_is_within_15_percent_of_what_was_measured(kind, side, megabytes) -> None:
    net = {"_class_name": kind, "patch_size": 2, "num_attention_heads": 8, "attention_head_dim": 128}
    told = 4 * working_memory.transformer(net, (64 * side, 64 * side), 256) / 1e6
    assert told == pytest.approx(megabytes, rel=0.15)


@pytest.mark.parametrize(
    ("weights", "row", "picture", "megabytes"),
    # Full-size folders with random float16 weights, two steps at 512 pixels: bytes of the process at their peak.
    [(4267, 221 * 2, 1040, 6516), (2134, 110, 520, 3618), (13_870, 220, 1040, 15_594), (25, 2.6 * 2, 4.4, 448)],
    ids=["SD 1.5 float32, guided", "SD 1.5 bfloat16", "SDXL float32", "embedded"],
)
def test_a_whole_run_is_within_15_percent_of_what_was_measured(weights, row, picture, megabytes) -> None:
    process = working_memory.of_the_process(weights * 10**6) / 1e6
    assert process + weights + max(row, picture) == pytest.approx(megabytes, rel=0.15)


@pytest.mark.parametrize(
    ("channels", "scale", "cells", "megabytes"),
    [([128, 256, 512, 512], 8, (64, 64), 1007), ([24, 48, 64], 4, (16, 16), 4.42)],
)
def test_a_picture_is_within_15_percent_of_what_was_measured(channels, scale, cells, megabytes) -> None:
    told = 4 * working_memory.decoder(channels, scale**2 * cells[0] * cells[1]) / 1e6
    assert told == pytest.approx(megabytes, rel=0.15)


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ('invert ddim "cat"->"dog"', 2),
        ('invert ddim "cat"->"dog" strength=50%', 2),
        ('invert ddim "cat"->"dog" | sample guidance=1', 1),
        ('let g = [2, 3]\ninvert ddim "cat"->"dog" | guide cfg guidance=g | save "{g}.png"', 4),
        ('invert ddim | mask diffedit "cat"->"dog" maps=5 | blend latent', 11),
    ],
)
def test_rows_at_once_are_those_of_one_step(cache: Path, capsys, text: str, rows: int) -> None:
    assert main(["plan", "--json", "-e", text, "cat.png"]) == 0
    assert json.loads(capsys.readouterr().out)["estimates"][0]["bytes"]["rows_at_once"] == rows


def test_weights_are_counted_from_headers(cache: Path, capsys) -> None:
    told = planned(capsys, "cat.png")
    assert told["cells"] == [16, 16]
    assert set(told["bytes"]["weights"]) == {"unet", "vae", "text_encoder"}
    assert told["bytes"]["weights"]["unet"] == 4 * look_into(find("storybook").folder).parts["unet"].numbers
    assert told["bytes"]["peak"] > sum(told["bytes"]["weights"].values())


def test_half_precision_is_planned_with_half_the_bytes_and_exact_mode_with_its_rows(cache: Path, capsys) -> None:
    whole, half = planned(capsys)["bytes"], planned(capsys, "--dtype", "float16")["bytes"]
    assert all(2 * half["weights"][part] == count for part, count in whole["weights"].items())
    assert 2 * half["row"] == pytest.approx(whole["row"], abs=2)
    exact = planned(capsys, "--exact")["bytes"]
    assert (
        (exact["rows_at_once"], exact["pictures_at_once"])
        == (8, 8)
        != (whole["rows_at_once"], whole["pictures_at_once"])
    )


def test_without_a_figure_no_time_is_told(cache: Path, capsys) -> None:
    assert planned(capsys, "cat.png")["seconds"] is None
    assert main(["plan", "-e", 'invert ddim "cat"->"dog"', "cat.png"]) == 0
    assert "time: not measured yet on this machine" in capsys.readouterr().out


def test_a_figure_of_this_machine_gives_the_time(cache: Path, capsys) -> None:
    rates.keep(rate(5.0))
    rates.keep(rate(10.0, when=2.0))
    told = planned(capsys, "cat.png")
    assert told["rows_per_second"] == 10
    assert told["seconds"][1] > 0
    assert len(rates.known()) == 1
    assert main(["plan", "-e", 'invert ddim "cat"->"dog"', "cat.png"]) == 0
    assert "10 rows a second as measured here (cpu, float32, 2 threads)" in capsys.readouterr().out


@pytest.mark.parametrize("other", [{"height": 32}, {"model": "another"}])
def test_a_figure_of_something_else_gives_none(cache: Path, capsys, other) -> None:
    rates.keep(rate(**other))
    assert planned(capsys, "cat.png")["seconds"] is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '[{"model": 1}]', "[" * 50_000, "null", "\x00"])
def test_a_damaged_cache_is_as_none(cache: Path, capsys, text: str) -> None:
    cache.parent.mkdir()
    cache.write_text(text)
    assert planned(capsys, "cat.png")["seconds"] is None
    rates.keep(rate())
    assert [each.rows_per_second for each in rates.known()] == [10.0]


def test_a_cache_that_cannot_be_written_is_no_failure(cache: Path) -> None:
    cache.parent.write_text("a file where the folder would be")
    rates.keep(rate())
    assert rates.known() == []


def test_nothing_is_kept_where_the_user_wants_none(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETOUCH_CACHE", "off")
    rates.keep(rate())
    assert rates.known() == []
    assert not cache.exists()


def test_a_run_keeps_its_pace(cache: Path, capsys) -> None:
    assert main(["run", "--json", "-e", 'invert ddim "cat"->"dog" steps=10', "cat.png", "-o", "dog.png"]) == 0
    (kept,) = rates.known()
    assert (kept.model, kept.height, kept.width, kept.dtype) == (find("storybook").digest, 16, 16, "float32")
    capsys.readouterr()
    assert planned(capsys, "cat.png")["seconds"][0] > 0


def test_the_first_call_is_not_counted() -> None:
    pace = Pace()
    for kind in ("denoise", "apply", "denoise"):
        pace.heard("call", {"kind": kind, "rows": 4})
    assert pace.rows == 4
