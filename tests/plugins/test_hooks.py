"""Every hook is called by the engine, has its paragraph in the guide, and is told when it is misspelt."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from importlib.metadata import entry_points
from itertools import count
from pathlib import Path
from textwrap import dedent

import pytest
import torch
from safetensors.torch import save_file

from retouch.cli.main import main
from retouch.models import catalog
from retouch.models.errors import BrokenModel
from retouch.plugins import announced, discovery, registry
from retouch.plugins.discovery import Plugin
from retouch.plugins.hooks import HOOKS
from retouch.plugins.live import LivePlugins
from retouch.run.files import signers

_NUMBERS = count()
HEAD = "from retouch.api import Image, Mask, hookimpl, stage\n\n"
GUIDE = Path(__file__).parents[2] / "plugins" / "README.md"


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Writes and installs a plugin of one file, under a name that was never imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    there = discovery.installed()

    def write(text: str) -> Plugin:
        name = f"hooked_{next(_NUMBERS)}"
        (tmp_path / f"{name}.py").write_text(HEAD + dedent(text).replace("HERE", name))
        there.append(Plugin(name, name))
        monkeypatch.setattr(discovery, "installed", lambda: there)
        monkeypatch.setattr(announced, "installed", lambda: there)
        return there[-1]

    return write


def refused(found: registry.Registry, card=None) -> registry.PluginError:
    with pytest.raises(registry.PluginError) as caught:
        found.function(card or found.cards[0])
    return caught.value


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_paragraph_in_the_guide_and_a_test_here(hook):
    assert f"\n### `{hook}(" in GUIDE.read_text("utf-8")
    assert f"def {hook}(" in Path(__file__).read_text("utf-8")


def test_weights_are_a_literal_that_a_check_reads(plugin):
    """What stages name: where each file lies."""
    plugin("""
        @hookimpl
        def retouch_weights():
            return {"face": "weights/face.safetensors"}
    """)
    assert {"face": "weights/face.safetensors"} in [each.weights() for each in announced.everything()]


def test_pretrained_networks_are_a_literal_that_a_check_reads(plugin):
    """What recipes may name beside a model: where each folder lies."""
    plugin("""
        @hookimpl
        def retouch_pretrained():
            return {"face": "weights/face"}
    """)
    assert "face" in {name for each in announced.everything() for name in each.pretrained()}


def test_signers_are_a_literal_and_one_that_breaks_is_told(plugin):
    """What `--sign` names; of two plugins the first keeps a name."""
    plugin("""
        raise OSError("imported")
        @hookimpl
        def retouch_signers():
            return {"mine": "HERE:SIGNER", "c2pa": "HERE:OTHER"}
    """)
    assert signers.installed() == {
        "c2pa": ("c2pa", "retouch_c2pa.signing:SIGNER"),
        "mine": signers.installed()["mine"],
    }
    with pytest.raises(signers.Unfit, match=r"'mine' of the plugin 'hooked_.+' cannot be imported: OSError: imported"):
        signers.named("mine")


def test_nothing_is_announced_past_the_hooks():
    """What was an entry point of its own is a line in a hook now."""
    assert not entry_points(group="retouch.models")
    assert not entry_points(group="retouch.benches")


def test_a_misspelt_hook_is_told_without_importing_the_plugin_which_is_left_out(plugin, capsys):
    written = plugin("""
        raise OSError("imported")
        @hookimpl
        def retouch_stagse(): ...
        @stage("a", "b")
        def f(): ...
    """)
    found = registry.load([written])
    (fault,) = found.faults
    assert (fault.code, fault.facts["mend"], found.cards) == ("RT905", "did you mean 'retouch_stages'?", ())
    assert main(["doctor"]) == 1
    assert "retouch_stagse" in capsys.readouterr().out


def test_stages_are_those_that_the_hook_returns(plugin):
    text = """
        @hookimpl
        def retouch_stages():
            return [f]
        @stage("a", "b")
        def f(): ...
        @stage("a", "c")
        def g(): ...
    """
    found = registry.load([plugin(text)])
    assert found.function(found.cards[0]).__name__ == "f"
    assert "leaves it out" in str(refused(found, found.cards[1]))


def test_a_hook_that_returns_no_stages_leaves_all_of_them_out(plugin):
    text = """
        @hookimpl
        def retouch_stages():
            return []
        @stage("a", "b")
        def f(): ...
    """
    found = registry.load([plugin(text)])
    assert "leaves it out" in str(refused(found, found.cards[0]))


@pytest.mark.parametrize(("given", "type_"), [("f", "function"), ("{'f': f}", "dict"), ("3", "int")])
def test_a_hook_that_returns_no_list_is_told_what_it_returns(plugin, given, type_):
    text = f"""
        @hookimpl
        def retouch_stages():
            return {given}
        @stage("a", "b")
        def f(): ...
    """
    found = registry.load([plugin(text)])
    assert f"retouch_stages gives a {type_}, and not a list of functions" in str(refused(found, found.cards[0]))


def test_what_is_built_beside_the_engine_is_built_in():
    assert {"bench", "methods"} <= {each.name for each in discovery.installed() if each.built_in}


def test_stages_are_asked_for_once_however_often_one_begins(plugin):
    text = """
        asked = []
        @hookimpl
        def retouch_stages():
            asked.append(1)
            return [f, g]
        @stage("a", "b")
        def f(): ...
        @stage("a", "c")
        def g(): ...
    """
    found = registry.load([plugin(text)])
    begun = [found.function(card) for card in (*found.cards, *found.cards)]
    assert len(begun) == 4
    assert begun[0].__globals__["asked"] == [1]


def test_another_function_put_in_the_place_of_one_that_ran_is_refused(plugin):
    found = registry.load([plugin("@stage('a', 'b')\ndef f(*, k: int = 1): ...")])
    space = found.function(found.cards[0]).__globals__
    exec("def f(*, k: int = 2): ...", space)
    assert "the default of 'k' is 2" in str(refused(found, found.cards[0]))


def test_without_the_hook_every_marked_function_counts(plugin):
    found = registry.load([plugin("@stage('a', 'b')\ndef f(): ...")])
    assert found.function(found.cards[0]).__name__ == "f"


def test_a_model_is_found_by_its_hook_and_not_by_an_import(plugin, tmp_path):
    plugin("""
        raise OSError("imported")
        @hookimpl
        def retouch_models():
            "Two of them."
            return {"mine": "weights/mine"}
    """)
    assert {"mine", "storybook"} <= set(catalog.names())
    with pytest.raises(BrokenModel, match=str(tmp_path / "weights" / "mine")):
        catalog.find("mine")


FAMILY = """
    @hookimpl
    def retouch_families():
        return {"MinePipeline": "HERE:FAMILY"}
    class Family:
        name = "mine"
        def describe(self, read):
            from retouch.api.families import Described
            side = read("net/config.json")["side"]
            return Described(4, 8, 8, side, 77, "epsilon", parts=("net",), tokenizers=(), space=("net",))
        def schedule(self, read, steps, size):
            raise NotImplementedError
        def load(self, known, parts):
            raise NotImplementedError
    FAMILY = Family()
"""


def model_of(folder: Path, pipeline: str) -> Path:
    for name, text in {
        "model_index.json": f'{{"_class_name": "{pipeline}"}}',
        "net/config.json": '{"side": 96}',
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    save_file({"weight": torch.zeros(2)}, folder / "net" / "model.safetensors")
    return folder


def test_a_model_is_described_by_the_family_that_reads_its_pipeline(plugin, tmp_path):
    with pytest.raises(BrokenModel, match="'MinePipeline', and no installed family reads that"):
        catalog.find(str(model_of(tmp_path / "model", "MinePipeline")))
    plugin(FAMILY)
    info = catalog.find(str(tmp_path / "model"))
    assert (info.family, info.trained_size, info.largest_side) == ("mine", 96, 192)


def test_configs_of_single_files_are_announced(plugin, tmp_path):
    """A kind of file that no plugin knows wants a base; one that ships configs for it makes that needless."""
    save_file({"model.diffusion_model.weight": torch.zeros(2)}, tmp_path / "x.safetensors")
    plugin(FAMILY.replace('"net', '"unet'))
    plugin("""
        raise OSError("imported")
        @hookimpl
        def retouch_configs():
            return {"mine": "configs/mine"}
    """)
    configs = model_of(tmp_path / "configs" / "mine", "MinePipeline")
    (configs / "net").rename(configs / "unet")
    with pytest.raises(BrokenModel, match="of no kind that is known here"):
        catalog.find(str(tmp_path / "x.safetensors"))
    assert catalog.find(str(tmp_path / "x.safetensors"), base="mine").trained_size == 96


def test_a_family_that_cannot_be_imported_is_named(plugin, tmp_path):
    plugin("raise OSError('no')\n@hookimpl\ndef retouch_families():\n    return {'MinePipeline': 'HERE:FAMILY'}")
    with pytest.raises(BrokenModel, match=r"the family of 'MinePipeline', hooked_.* cannot be imported: OSError: no"):
        catalog.find(str(model_of(tmp_path / "model", "MinePipeline")))


def test_a_benchmark_is_listed_without_an_import_and_called_with_the_rest_of_the_line(plugin, capsys):
    mine = plugin("""
        @hookimpl
        def retouch_benches():
            return {"mine": "HERE:measure"}
        def measure(words):
            print(words)
            return 7
    """)
    assert main(["bench"]) == 0
    assert "mine" in capsys.readouterr().out.split()
    assert mine.name not in sys.modules
    assert main(["bench", "mine", "--fast"]) == 7
    assert capsys.readouterr().out == "['--fast']\n"


def test_what_is_read_but_is_no_literal_is_told(plugin):
    written = plugin("@hookimpl\ndef retouch_benches():\n    return {'mine': __name__ + ':measure'}")
    assert [fault.code for fault in registry.load([written]).faults] == ["RT904"]


def test_a_literal_that_is_another_when_it_is_called_is_told(plugin):
    written = plugin("""
        @hookimpl
        def retouch_models():
            return FOLDERS
        FOLDERS = {"mine": "here"}
        FOLDERS["other"] = "there"
        @stage("a", "b")
        def f(): ...
    """)
    found = registry.load([written])
    assert not found.faults
    assert refused(found).fault.code == "RT904"


def test_a_registered_type_is_one_class(plugin):
    mesh = """
        class Mesh: ...
        @hookimpl
        def retouch_port_types():
            return [Mesh]
        @stage("a", "b")
        def f(mesh: Mesh) -> Mesh: ...
    """
    mine, again = plugin(mesh), plugin(mesh)
    found = registry.load([mine])
    assert found.function(found.cards[0])
    both = registry.load([mine, again])
    loaded = [both.live.get(each.name) for each in (mine, again)]
    assert [[fault.code for fault in each[1]] for each in loaded if each] == [[], ["RT906"]]


def test_a_stage_that_takes_another_class_of_a_registered_name_is_refused(plugin):
    mine = plugin("""
        class Mesh: ...
        @hookimpl
        def retouch_port_types():
            return [Mesh]
    """)
    yours = plugin("""
        class Mesh: ...
        @stage("a", "b")
        def f(mesh: Mesh) -> Mesh: ...
    """)
    found = registry.load([mine, yours])
    found.live.get(mine.name)
    assert "another 'Mesh'" in str(refused(found))


def test_observers_hear_of_each_call_and_one_that_raises_only_once(plugin):
    written = plugin("""
        SEEN = []
        @hookimpl
        def retouch_batch_evaluated(kind, rows):
            SEEN.append((kind, rows))
            if rows > 2:
                raise OSError("full")
    """)
    told: list[str] = []
    tell = LivePlugins([written]).observing(lambda event, facts: told.append(event))
    assert tell
    tell("stage", {"item": "", "stage": "a b", "rows": 1})
    for rows in (1, 3, 4):
        with pytest.warns(UserWarning, match="full") if rows == 3 else nullcontext():
            tell("call", {"kind": "denoise", "rows": rows, "bucket": 4})
    assert sys.modules[written.name].SEEN == [("denoise", 1), ("denoise", 3)]
    assert told == ["stage", "call", "call", "call"]


def test_a_run_without_observers_tells_as_before(plugin):
    tell = list.append
    assert LivePlugins([plugin("")]).observing(tell) is tell


@pytest.mark.thorough
def test_listing_models_and_benchmarks_imports_no_plugin_but_the_family_that_reads_a_model():
    code = (
        "import sys; from retouch.cli.main import main; main(['models']); main(['bench'])\n"
        "print(*(name for name in sys.modules if name.startswith(('torch', 'retouch_'))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = done.stdout.splitlines()[-1].split()
    families = ["retouch_models.pixels", "retouch_models.published", "retouch_models.stable_diffusion"]
    assert sorted(loaded) == ["retouch_models", *families]
