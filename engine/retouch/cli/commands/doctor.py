"""`retouch doctor`: what this installation is made of, what is wrong with it, and what to type."""

from __future__ import annotations

import os
import platform
import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from retouch.cli import DONE, WRONG_RECIPE, WrongCommand
from retouch.cli.reporting import fault_text, put, sized
from retouch.models import catalog
from retouch.plugins import discovery, registry
from retouch.plugins.importing import surrounded
from retouch.run.store.place import VARIABLE, store
from retouch.version import __version__

PACKAGES = ("torch", "diffusers", "transformers", "safetensors", "huggingface_hub", "pluggy", "lark", "pillow", "numpy")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.  What is wrong has a mend: what to type."""

    what: str
    is_: str
    mend: str = ""


def main(args: Namespace) -> int:
    """Look at everything that a run needs; exit 1 if any of it is wrong."""
    found = [*_versions(), *_plugins(), *_models(), *_folders(), _device()]
    if args.plugin:
        found += _tried(args.plugin)
    wrong = [finding for finding in found if finding.mend]
    if args.json:
        told = [{"what": each["what"], "is": each["is_"], "mend": each["mend"]} for each in map(asdict, found)]
        put({"ok": not wrong, "findings": told})
        return WRONG_RECIPE if wrong else DONE
    for finding in found:
        print(f"{'!' if finding.mend else ' '} {finding.what}: {finding.is_}")
        if finding.mend:
            print(f"    {finding.mend}")
    print("nothing is wrong" if not wrong else f"{len(wrong)} to mend")
    return WRONG_RECIPE if wrong else DONE


def _versions() -> Iterator[Finding]:
    yield Finding("retouch", __version__)
    yield Finding("python", f"{platform.python_version()} at {sys.executable}")
    for name in PACKAGES:
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, "not installed", f"pip install {name}")


def _plugins() -> Iterator[Finding]:
    installed = discovery.installed()
    loaded = registry.load(installed)
    for plugin in installed:
        faults = [fault for fault in loaded.faults if fault.plugin == plugin.name]
        if not faults and (live := loaded.live.get(plugin.name)):
            faults = live[1]  # only here and in a run is a plugin imported
        with surrounded(plugin.module):
            faults = faults or list(loaded.unusable(plugin.name))
        where = f"from {plugin.distribution} {plugin.version}".strip()
        changed = [f"its import changes {what}, which is put back" for what in loaded.live.changed.get(plugin.name, ())]
        said = "; ".join([*map(fault_text, faults), *loaded.notes(plugin.name), *changed])
        mend = f"update or uninstall it: pip install --upgrade {plugin.distribution or plugin.name}" if faults else ""
        yield Finding(f"plugin {plugin.name}", said or where, mend)


def _tried(name: str) -> Iterator[Finding]:
    """What became of each stage of a plugin on a small random network."""
    from retouch.cli.trial import trials

    installed = discovery.installed()
    if name not in (plugin.name for plugin in installed):
        raise WrongCommand(f"no plugin is called '{name}'; there are: {', '.join(each.name for each in installed)}")
    for what, is_, mend in trials(name, registry.load(installed)):
        yield Finding(what, is_, mend)


def _models() -> Iterator[Finding]:
    names = catalog.names()
    if not names:
        yield Finding("models", "none is installed", "pip install --force-reinstall retouch")
    for name in names:
        try:
            info = catalog.find(name)
            yield Finding(f"model {name}", f"{info.trained_size} pixels, in {info.folder}")
        except (catalog.BrokenModel, catalog.UnknownModel) as err:
            yield Finding(f"model {name}", str(err), "install its plugin again")


def _folders() -> Iterator[Finding]:
    here = Path.cwd()
    writable = os.access(here, os.W_OK)
    mend = "" if writable else "go to a folder of yours, or name one with -o"
    yield Finding("this folder", f"{here}{'' if writable else ', and nothing can be written here'}", mend)
    from huggingface_hub import constants

    cache = Path(constants.HF_HUB_CACHE)
    holder = next((folder for folder in (cache, *cache.parents) if folder.exists()), cache)
    usable = os.access(holder, os.W_OK)
    mend = "" if usable else "set HF_HOME to a folder of yours; models of the hub are kept there"
    yield Finding("models of the hub", f"{cache}{'' if usable else ', which cannot be written'}", mend)
    yield _store()


def _store() -> Finding:
    """What is kept of other runs: place, size, and how to be rid of it."""
    try:
        kept = store()
    except ValueError as err:
        return Finding("store of shared work", str(err), f"export {VARIABLE}=20, or unset it")
    if kept is None:
        return Finding("store of shared work", "off")
    size = f"{sized(kept.size())} of at most {sized(kept.limit)}"
    return Finding("store of shared work", f"{kept.folder}: {size}; removing that folder clears it")


def _device() -> Finding:
    if find_spec("torch") is None:
        return Finding("device", "none without torch", "pip install torch")
    import torch

    if torch.cuda.is_available():
        return Finding("device", f"cuda: {torch.cuda.get_device_name()}")
    return Finding("device", f"cpu, {torch.get_num_threads()} threads")
