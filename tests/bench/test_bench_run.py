"""A benchmark goes on where it was, comes to the same figures again, and takes in whatever is registered."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from multiprocessing import active_children
from pathlib import Path

import pytest

from retouch.models import catalog
from retouch.plugins import registry
from retouch.plugins.registry import Registry
from retouch.plugins.signatures.reading import read_module
from retouch_bench import packing, pairs, quality
from retouch_bench.drawn import Drawn
from retouch_bench.edits import held_out_edits
from retouch_bench.journal import Journal, find
from retouch_bench.report import Findings, write
from retouch_bench.sharing import Bench
from retouch_bench.table import best_inversions, summaries
from retouch_bench.work import Surroundings, read

INSTALLED = registry.load()
STRANGER = Path(__file__).parents[1] / "stranger" / "retouch_stranger.py"
ENTRIES = [*pairs.BOUNDS, *(pairs.pair("ddim", *editor) for editor in pairs.BASE.items())]
STEPS = 2


def bench(folder, workers=1):
    surroundings = Surroundings(INSTALLED, "storybook", STEPS, 0, folder / "pictures")
    return Bench(surroundings, Journal(folder / "measured.jsonl"), say=[].append, workers=workers)


def edits(folder, count):
    return [Drawn(edit, folder / "drawings", 64) for edit in held_out_edits(count)]


def without_times(data):
    """Figures alone: the time that a row took is another each time."""
    return [{name: value for name, value in record.items() if name != "seconds"} for record in data]


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Two edits measured together, in one go."""
    folder = tmp_path_factory.mktemp("measured")
    return folder, bench(folder).measure(edits(folder, 2), ENTRIES)


@pytest.mark.thorough
def test_every_entry_is_measured_on_every_edit(measured):
    _, records = measured
    assert len(records) == 2 * len(ENTRIES)
    assert not [record for record in records if "error" in record]
    for record in records:
        assert 0 <= record["success"] == record["asked"] * record["kept"] <= 1


@pytest.mark.thorough
def test_the_bounds_are_what_they_say(measured):
    _, records = measured
    nothing, codec = ([r for r in records if r["editor"] == e.editor] for e in (pairs.NOTHING, pairs.CODEC))
    for record in nothing:
        assert record["psnr_outside"] == 60
        assert record["ssim_outside"] == 1
        assert record["rows"] == record["asked"] == 0
    for record in codec:
        assert record["rows"] == 0
        assert record["psnr_inside"] > 20
        assert record["success"] == 1


def test_rows_are_those_of_the_pair_alone(measured):
    """Inversion, both branches under guidance; ten pairs for the mask, and a source that the blend replays."""
    _, records = measured
    rows = {record["editor"]: record["rows"] for record in records}
    assert rows[pairs.P2P] == STEPS + 4 * STEPS
    assert rows[pairs.DIFFEDIT] == STEPS + 20 + 2 * STEPS
    assert rows[pairs.TEXT.editor] == 2 * STEPS


def test_a_mask_is_measured_where_there_is_one(measured):
    _, records = measured
    for record in records:
        if record["editor"] == pairs.DIFFEDIT:
            assert 0 <= record["mask_iou"] <= 1
            assert record["mask_iou_pixels"] <= 1 >= record["mask_iou_pixels_best"] > 0
        else:
            assert record["mask_iou"] is None


@pytest.mark.thorough
def test_an_edit_alone_comes_to_the_same_figures_as_among_others(measured, tmp_path):
    _, records = measured
    alone = bench(tmp_path).measure(edits(tmp_path, 1), ENTRIES)
    assert without_times(alone) == without_times(records[: len(ENTRIES)])


@pytest.mark.thorough
def test_several_processes_come_to_the_same_figures_as_one(measured, tmp_path, monkeypatch):
    _, records = measured
    monkeypatch.setattr("retouch_bench.sharing.AT_ONCE", 1)
    several, at_work = bench(tmp_path, workers=2), []
    several.say = lambda _: at_work.append(len(active_children()))
    shared = several.measure(edits(tmp_path, 2), ENTRIES)
    assert at_work[0] == 2
    assert without_times(shared) == without_times(records)
    written = map(json.loads, (tmp_path / "measured.jsonl").read_text().splitlines())
    assert {record["edit"] for record in written} == {record["edit"] for record in records}


@pytest.mark.thorough
def test_ctrl_c_ends_the_processes_and_keeps_what_is_whole(tmp_path, monkeypatch):
    monkeypatch.setattr("retouch_bench.sharing.AT_ONCE", 1)
    interrupted = bench(tmp_path, workers=2)

    def interrupt(_):
        raise KeyboardInterrupt

    interrupted.say = interrupt
    with pytest.raises(KeyboardInterrupt):
        interrupted.measure(edits(tmp_path, 4), [pairs.CODEC])
    assert not active_children()
    assert len((tmp_path / "measured.jsonl").read_text().splitlines()) == 1


@pytest.mark.thorough
def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_table(measured, tmp_path):
    folder, records = measured
    lines = (folder / "measured.jsonl").read_text().splitlines(keepends=True)
    for path in (folder / "pictures").rglob("*.png"):
        copy = tmp_path / path.relative_to(folder)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    killed = tmp_path / "measured.jsonl"
    killed.write_text("".join(lines[:7]) + lines[7][: len(lines[7]) // 2])
    again = bench(tmp_path).measure(edits(tmp_path, 2), ENTRIES)
    assert without_times(again) == without_times(records)
    assert [r["seconds"] for r in again if r["edit"].startswith("000")] == [
        r["seconds"] for r in records if r["edit"].startswith("000")
    ]
    written = [json.loads(line) for line in killed.read_text().splitlines()]
    assert len(written) == len(lines)
    assert [(r["edit"], r["editor"]) for r in written] == [(r["edit"], r["editor"]) for r in map(json.loads, lines)]


def test_what_was_measured_under_other_settings_does_not_count(measured):
    folder, _ = measured
    drawn = edits(folder, 1)[0]
    entry = pairs.pair("ddim", *next(iter(pairs.BASE.items())))
    keys = {
        read(drawn, [entry], Surroundings(INSTALLED, "storybook", steps, seed, folder / "pictures")).key(entry)
        for steps, seed in ((2, 0), (3, 0), (2, 1))
    }
    assert len(keys) == 2  # neither DDIM nor P2P draws noise: the seed is nothing to them, the steps are
    known = Journal(folder / "measured.jsonl").of([drawn.edit.name])
    assert find(known, (drawn.edit.name, "ddim", pairs.P2P), "another") is None


def test_a_strangers_inversion_is_in_the_table_by_being_registered():
    cards, faults = read_module(STRANGER, "retouch_stranger", "stranger")
    assert not faults
    found = pairs.with_every_inversion(Registry([*INSTALLED.cards, *cards]))
    assert {entry.editor for entry in found if entry.inversion == "independent"} == {pairs.P2P, pairs.DIFFEDIT}
    inversions = {entry.inversion for entry in found}
    assert inversions == {*INSTALLED.methods("invert"), "independent"}


def test_every_control_and_guidance_is_an_editor():
    others = pairs.editors(INSTALLED)
    wanted = {f"attend {name}" for name in INSTALLED.methods("attend") if name != "p2p"}
    wanted |= {f"guide {name}" for name in INSTALLED.methods("guide") if name != "cfg"}
    assert wanted <= set(others)
    assert not set(others) & set(pairs.BASE)


def test_what_the_check_refuses_is_named_with_its_code_and_stops_nothing_else(tmp_path):
    wrong, right = pairs.pair("ddim", "mask box", " | mask box left=2 | blend latent"), ENTRIES[3]
    work = read(edits(tmp_path, 1)[0], [wrong, right], bench(tmp_path).surroundings)
    assert {entry: found.code[:3] for entry, found in work.refused.items()} == {wrong: "RT2"}
    assert list(work.entries) == [right]
    records = bench(tmp_path).measure(edits(tmp_path, 1), [wrong])
    assert [record["error"][:3] for record in records] == ["RT2"]
    assert summaries(records, [wrong])[0]["failed"] == 1


@pytest.mark.thorough
def test_recipes_of_ones_own_are_measured_side_by_side(tmp_path, capsys):
    recipes = [f"invert ddim {{change}} | sample guidance={w}" for w in (2, 2.5)] + ["encode | decode"]
    told = [argument for recipe in recipes for argument in ("-e", recipe)]
    quality.main([*told, "--edits", "1", "--steps", "2", "--workers", "1", "-o", str(tmp_path)])
    rows = json.loads((tmp_path / "table.json").read_text())["rows"]
    assert [row["editor"] for row in rows[len(pairs.BOUNDS) :]] == recipes
    figures = [row["figures"]["psnr_truth"]["mean"] for row in rows[len(pairs.BOUNDS) :]]
    assert len(set(figures)) == len(recipes)
    assert str(tmp_path / "table.md") in capsys.readouterr().out
    assert r"| given | encode \| decode |" in (tmp_path / "table.md").read_text()


def test_a_wrong_recipe_is_told_before_anything_is_run(tmp_path, capsys):
    assert quality.main(["-e", "invert ddmi {change}", "--edits", "1", "-o", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "RT202" in said or "RT201" in said
    assert "ddim" in said
    assert not (tmp_path / "measured.jsonl").exists()


def test_what_walks_nowhere_is_measured_alone_too(tmp_path):
    (record,) = bench(tmp_path).measure(edits(tmp_path, 1), [pairs.NOTHING])
    assert record["psnr_outside"] == 60


def test_the_best_inversions_are_those_judged_right_most_often():
    def summary(inversion, success, psnr):
        figures = {"success": {"mean": success}, "psnr_truth": {"mean": psnr}}
        return {"inversion": inversion, "editor": "", "edits": 3, "figures": figures}

    found = [summary("bound", 1, 60), summary("a", 0.5, 30), summary("b", 0.5, 31), summary("c", 0.9, 10)]
    assert best_inversions(found, 2) == ["c", "b"]


def test_the_files_are_the_same_again_and_the_page_needs_nothing_else(measured):
    folder, records = measured
    settings = {"edits": 2, "steps": STEPS, "seed": 0, "full": False}
    drawn = edits(folder, 2)
    found = Findings(settings, catalog.find("storybook"), "cpu", ["ddim"], drawn, folder / "pictures", ENTRIES, records)
    paths = write(folder, found)
    first = [path.read_text() for path in paths]
    assert [path.read_text() for path in write(folder, found)] == first
    table, data, page = first
    assert table.count("| ddim | attend p2p |") == 2
    assert json.loads(data)["about"]["model_digest"] == catalog.find("storybook").digest
    shown = re.findall(r'src="([^"]{5})', page)
    assert len(shown) == 3 * 2 * len(ENTRIES)
    assert set(shown) == {"data:"}
    assert not re.search(r"https?:|<script|<link|@import|url\(", page)
    assert str(folder) not in table + data + page


def test_help_and_the_list_of_benchmarks_load_no_torch():
    script = (
        "import sys, contextlib, retouch.cli.main as c\n"
        "print(c.main(['bench']))\n"
        "with contextlib.suppress(SystemExit): c.main(['bench', 'quality', '--help'])\n"
        "print('torch' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert told.startswith("attributes\nlarge\npacking\npainted\nquality\n")
    assert "--subset" in told
    assert told.endswith("False\n")


def test_an_unknown_benchmark_is_refused_with_those_that_there_are():
    told = subprocess.run(
        [sys.executable, "-m", "retouch", "bench", "nope"], capture_output=True, text=True, check=False
    )
    assert told.returncode == 2
    assert "no benchmark is called 'nope'; there are: " in told.stderr


@pytest.mark.thorough
def test_pictures_that_are_edited_together_share_their_calls(tmp_path, capsys):
    packing.main(["--pictures", "4", "--steps", "1", "--json", "-e", "invert ddim {change}", "-o", str(tmp_path)])
    one, two, four = json.loads(capsys.readouterr().out)
    assert [row["pictures"] for row in (one, two, four)] == [1, 2, 4]
    assert [row["rows"] for row in (one, two, four)] == [3, 6, 12]  # an inverted row, and two under guidance, of each
    assert one["calls"] == one["calls_alone"] == two["calls"] == four["calls"] == 2
    assert four["calls_alone"] == 8
    assert four["full"] == 1
