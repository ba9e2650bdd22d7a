"""Ways in which a plugin meets the engine beside its stages: how it is announced and imported, what it says at last."""

from __future__ import annotations

import importlib
import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from retouch.models.own_weights import NoWeights, place_of
from retouch.plugins.announced import announced
from retouch.plugins.discovery import Plugin
from retouch.plugins.importing import imported
from retouch.testing.laws import stage_laws
from retouch.testing.worlds import tiny_world
from tests.e2e.command import draw, in_process, retouch
from tests.faulty.faults import FINE, HEAD, MASK, mask
from tests.faulty.installing import NEIGHBOURS, install, run

# What announces a plugin, and what is said of it.
ANNOUNCED = {
    "nowhere": ("f_nowhere = f_nowhere", "no module named 'f_nowhere'"),
    "inside": (
        "f_inside = f_one_file.sub.more",
        "no module named 'f_one_file.sub.more': 'f_one_file' is a single file",
    ),
    "frozen": ("f_frozen = zipimport", "no source file of 'zipimport', from which stages are read"),
    "folder": ("f_folder = f_a_folder", "the package 'f_a_folder' has no __init__.py"),
    "object": ("f_object = f_one_file:PLUGIN", "has to name a module alone, 'f_one_file'"),
    "empty": ("f_empty = ", "names no module"),
    "flöte": ("flöte = f_one_file", "its name has to be a word of the letters a to z"),
    "hyphen": ("my-plugin = f_one_file", "its name has to be a word of the letters a to z"),
    "dots": ("my.plugin = f_one_file", "its name has to be a word of the letters a to z"),
    "choice": ("none = f_one_file", "its name has to be a word of the letters a to z"),
}


def test_what_is_announced_wrongly_is_told_with_its_name(site: Path, tmp_path: Path) -> None:
    (site / "f_one_file.py").write_text("")
    (site / "f_a_folder").mkdir()
    for name, (entry, _) in ANNOUNCED.items():
        install(site, name, None, entry=entry)
    listed = retouch("plugins", folder=tmp_path).out
    for entry, said in ANNOUNCED.values():
        about = listed.partition(f"\n{entry.partition(' =')[0]}: ")[2].splitlines()
        assert said in about[1], entry


def test_of_two_distributions_with_one_module_the_first_keeps_it(site: Path, tmp_path: Path) -> None:
    install(site, "one", f"{HEAD}{mask('twin', f'return {FINE}', '').source}")
    install(site, "two", None, entry="f_two = f_one")
    listed = retouch("plugins", folder=tmp_path).out
    assert "'f_two' could not be loaded: its module 'f_one' is one of 'f_one', too" in listed
    assert "RT903" not in listed
    draw(tmp_path / "cat.png")
    assert run(tmp_path, MASK.format(name="twin")).code == 0


@pytest.mark.parametrize(
    ("chosen", "there"),
    [
        ("f_a", "a"),
        (" f_a , , f_b,", "ab"),
        (",,", "abc"),
        (" ", "abc"),
        ("-f_a", "bc"),
        ("none,f_c", "c"),
        ("none", ""),
    ],
)
def test_the_choice_of_plugins_may_have_blanks(
    chosen: str, there: str, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        install(site, name, "")
    monkeypatch.setenv("RETOUCH_PLUGINS", chosen)
    listed = retouch("plugins", folder=tmp_path).out
    assert "".join(name for name in "abc" if f"f_{name}:" in listed) == there


@pytest.mark.parametrize("chosen", ["F_a", "- f_a", "f_b,f_aa"])
def test_a_choice_of_what_is_not_there_is_a_wrong_command(
    chosen: str, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "a", "")
    install(site, "b", "")
    monkeypatch.setenv("RETOUCH_PLUGINS", chosen)
    done = retouch("plugins", folder=tmp_path)
    assert done.code == 2
    assert "no such plugin is installed; did you mean 'f_a'?" in done.err


BENCHES = """
from retouch import hookimpl
@hookimpl
def retouch_benches():
    return {"raises": "HERE:raises", "absent": "HERE:absent", "far": "no_such:main", "words": "HERE:words",
            "high": "HERE:high"}
def raises(line): raise ValueError("no data")
def words(line): return "done"
def high(line): return 999
"""


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("raises", "failed: ValueError: no data (f_benches.py, line 7)"),
        ("absent", "failed: AttributeError: module 'f_benches' has no attribute 'absent'"),
        ("far", "failed: ModuleNotFoundError: No module named 'no_such'"),
        ("words", "has to return an exit code, 0 where all is well, and gave 'done'"),
        ("high", "has to return an exit code, 0 where all is well, and gave 999"),
    ],
)
def test_a_benchmark_that_fails_is_named_with_its_plugin(name: str, said: str, site: Path, tmp_path: Path) -> None:
    install(site, "benches", BENCHES.replace("HERE", "f_benches"))
    done = retouch("bench", name, folder=tmp_path)
    assert done.code == 4
    assert f"the benchmark '{name}' of 'f_benches' {said}" in done.err
    assert "report it to f_benches" in done.err


# What a module does when it is imported; the limit of recursion last, since no more of a library loads below it.
AT_IMPORT = """
import locale
torch.set_num_threads(3); torch.set_default_dtype(torch.float64); torch.manual_seed(3)
torch.use_deterministic_algorithms(True); locale.setlocale(locale.LC_ALL, "C.UTF-8")
os.chdir("/"); os.environ["RETOUCH_PLUGINS"] = "none"; signal.signal(2, signal.SIG_IGN)
warnings.simplefilter("error"); sys.path.clear(); sys.setrecursionlimit(200)
"""
OBSERVER = """
from retouch.api import hookimpl
@hookimpl
def retouch_batch_evaluated(kind):
    torch.rand(1); os.chdir("/")
"""


@pytest.mark.thorough
def test_what_an_import_or_an_observer_changes_is_put_back(site: Path, tmp_path: Path, alone: dict[str, bytes]) -> None:
    draw(tmp_path / "cat.png")
    for name, more in (("changes", ""), ("observes", OBSERVER)):
        install(site, name, HEAD + AT_IMPORT + more + mask(name, f"return {FINE}", "").source)
    flows = "\n".join(MASK.format(name=name) for name in ("changes", "observes"))
    with pytest.warns(UserWarning, match="'f_observes' no longer observes: it changes the state of torch's random"):
        done = run(tmp_path, f"{flows}\n{NEIGHBOURS}")
    assert done.code == 0, done.err
    assert {each: (tmp_path / each).read_bytes() for each in alone} == alone


def package(folder: Path, name: str, **modules: str) -> None:
    """A package of these modules; `top` is its own."""
    (folder / name).mkdir(exist_ok=True)
    for module, source in modules.items():
        (folder / name / f"{'__init__' if module == 'top' else module}.py").write_text(source)


def test_an_import_that_fails_leaves_nothing_half_loaded(site: Path) -> None:
    """So the next begins anew: of the plugin all goes, of a library what its own failed import left."""
    package(site, "f_whole", top="")
    package(site, "f_library", top="from f_library import part\nraise RuntimeError", part="import json")
    package(site, "f_native", top="import sys\nsys.modules['f_native.part'] = sys\nraise RuntimeError")
    tries = "for name in ('f_library', 'f_native'):\n    try: __import__(name)\n    except RuntimeError: pass\n"
    package(site, "f_half", top=f"import f_whole\nfrom f_half import one\n{tries}raise RuntimeError('no')", one="x = 1")
    install(site, "half", None)
    with pytest.raises(RuntimeError, match="no"):
        imported("f_half")
    left = {name for name in sys.modules if name.startswith("f_")}
    assert {name for name in left if name.partition(".")[0] in ("f_half", "f_library")} == set()
    assert {"f_whole", "f_native.part"} <= left  # the one is loaded, the other cannot be loaded twice
    package(site, "f_half", top="from f_half.one import x", one="x = 'mended'")
    importlib.invalidate_caches()
    assert imported("f_half").x == "mended"


def test_a_module_of_stages_that_fails_takes_its_siblings_along(site: Path) -> None:
    """They may hold the one that failed; the package, which was there before, forgets them as well."""
    package(site, "f_staged", top="", stages="from f_staged import other\nraise RuntimeError", other="x = 1")
    install(site, "staged", None)
    top = imported("f_staged")
    with pytest.raises(RuntimeError):
        imported("f_staged.stages")
    assert "f_staged.other" not in sys.modules
    assert sys.modules["f_staged"] is top
    assert not hasattr(top, "other")


def test_an_import_takes_no_module_away(site: Path) -> None:
    install(
        site,
        "takes",
        "import sys, json, types\nsys.modules['json'] = types.ModuleType('json')\ndel sys.modules['torch']",
    )
    told: list[str] = []
    before = sys.modules["json"], sys.modules["torch"]
    imported("f_takes", told.append)
    assert (sys.modules["json"], sys.modules["torch"]) == before
    assert "which modules there are" in told


@pytest.mark.parametrize("how", ["os._exit(3)", "os.abort()", "os.execv('/bin/true', ['true'])", "os.fork() or x"])
def test_an_import_ends_no_process(how: str, site: Path) -> None:
    name = f"ends_{abs(hash(how))}"
    install(site, name, f"import os\n{how}")
    with suppress(SystemExit, NameError):
        imported(f"f_{name}")
        assert "fork" in how


def test_doctor_tells_what_an_import_changes(site: Path, tmp_path: Path) -> None:
    install(site, "moves_in", "import os\nos.chdir('/')\n")
    told = retouch("doctor", folder=tmp_path).out
    assert "its import changes the folder that the process is in, which is put back" in told
    assert f"this folder: {tmp_path}" in told


LAST = """
import atexit, threading
from retouch import hookimpl
@hookimpl
def retouch_benches():
    return {"last": "f_last:main"}
class Held:
    def __del__(self): raise ValueError("let go")
def late():
    threading.main_thread().join()
    print("late words")
def main(line):
    thread = threading.Thread(target=lambda: 1 / 0)
    thread.start(); thread.join()
    threading.Thread(target=late).start()
    bare = threading.Thread(target=print, args=("bare words",)); bare.start(); bare.join()
    atexit.register(lambda: [][1])
    atexit.register(print, "bye")
    Held()
    print("the answer")
"""


def test_what_is_said_and_raised_where_nobody_listens_is_one_line_with_the_plugins_name(tmp_path: Path) -> None:
    install(tmp_path, "last", LAST)
    done = in_process("bench", "last", folder=tmp_path, env={"PYTHONPATH": str(tmp_path)})
    assert done.code == 0, done.err
    assert done.out == "the answer\n"
    assert sorted(done.err.splitlines()) == [
        "bare words",
        "bye",
        "f_last: IndexError: list index out of range (f_last.py, line 17); raised at exit",
        "f_last: ValueError: let go (f_last.py, line 8); raised where nobody can catch it",
        "f_last: ZeroDivisionError: division by zero (f_last.py, line 13); its thread has ended",
        "f_last: late words",
    ]


def test_weights_may_be_a_link_and_one_that_leads_nowhere_is_told(site: Path, tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "stored")
    said = '@hookimpl\ndef retouch_weights():\n    return {"a": "a.safetensors", "b": "b.st"}'
    install(site, "linked", f"from retouch import hookimpl\n{said}")
    os.symlink(tmp_path / "stored", site / "a.safetensors")
    os.symlink(tmp_path / "gone", site / "b.st")
    found = announced(Plugin("f_linked", "f_linked", "f_linked"))
    assert place_of(found, "a").resolve() == tmp_path / "stored"
    with pytest.raises(NoWeights, match=r"'b\.st' is not there"):
        place_of(found, "b")


def test_a_world_has_the_weights_of_an_installed_plugin(site: Path) -> None:
    save_file({"prior": torch.full((2, 2), 0.25)}, site / "prior.safetensors")
    source = HEAD + (
        "from retouch.api import Weights, hookimpl\n"
        '@hookimpl\ndef retouch_weights():\n    return {"prior": "prior.safetensors"}\n'
        '@stage("mask", "weighs", weights=("prior",))\n'
        'def weighs(image: Image, weights: Weights) -> Mask:\n    """X."""\n'
        '    return Mask(image.data[0] * 0 + weights.tensors("prior")["prior"].mean())\n'
    )
    install(site, "weighs", source)
    stage = imported("f_weighs").weighs
    assert tiny_world().call(stage).data.unique().tolist() == [0.25]
    stage_laws(stage)
