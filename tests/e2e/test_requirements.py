"""A requirement that is not met fails its own picture, says what was measured, and lets the others go on."""

from __future__ import annotations

import shutil

from retouch.paths import folder
from retouch.run.session import execute
from tests.e2e.sessions import INSTALLED, KEPT, graphs


def test_a_missed_floor_is_a_failure_with_both_figures(tmp_path):
    here = shutil.copytree(folder("recipes") / "pictures", tmp_path / "pictures").parent
    cat = here / "pictures" / "cat_meadow.png"
    one, two = (
        graphs(f'invert sdedit "cat"->"dog" | require psnr min={floor} | save "{floor}.png"', [cat], here, steps=4)[0]
        for floor in (1, 119)
    )
    fine, failed = execute([one, two], registry=INSTALLED, machine=KEPT).outcomes
    assert [path.name for path in fine.files] == ["1.png"]
    assert not failed.files
    (why,) = failed.failures
    assert why.code == "RT502"
    assert "'psnr' is 2" in why.message
    assert "dB, and 119 dB or more was required" in why.message
    assert not any(rows for node, rows in failed.rows.items() if node.startswith("sample"))


def test_what_holds_says_with_what_figures(tmp_path):
    here = shutil.copytree(folder("recipes") / "pictures", tmp_path / "pictures").parent
    asked = "require psnr min=1 | require cycle max=9 | require gaussian max=9"
    recipe = f'invert sdedit "cat"->"dog" | {asked} | save "dog.png"'
    made = graphs(recipe, [here / "pictures" / "cat_meadow.png"], here, steps=4)
    (outcome,) = execute(made, registry=INSTALLED, machine=KEPT).outcomes
    told = [notice for notice in outcome.notices if notice.startswith("require ")]
    assert [notice.partition(":")[0] for notice in told] == ["require psnr", "require cycle", "require gaussian"]
    assert told[0].endswith(" dB")
    (certificate,) = (
        value.certificate
        for value in outcome.values.values()
        if getattr(value, "certificate", {}).keys() >= {"gaussian"}
    )
    assert [f"require {metric}: {figure}" for metric, figure in certificate.items()] == told
