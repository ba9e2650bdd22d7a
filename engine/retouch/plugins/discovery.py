"""Finding plugins without importing them, and importing them for a run."""

from __future__ import annotations

import os
import pkgutil
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from inspect import getmembers, isfunction
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retouch.plugins.signatures import Fault

if TYPE_CHECKING:
    import pluggy

GROUP = "retouch.plugins"
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin: a package, or a module of one file."""

    name: str
    module: str
    distribution: str = ""
    version: str = ""

    def source(self) -> Path:
        """Return the file of the announced module, found by the spec of its top-level name, which imports nothing."""
        top, *rest = self.module.split(".")
        spec = find_spec(top)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no module named '{top}'")
        if not spec.submodule_search_locations:
            return Path(spec.origin)
        place = Path(spec.origin).parent.joinpath(*rest)
        return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")

    def files(self) -> Iterable[tuple[Path, str]]:
        """Return each source file with its module name."""
        source = self.source()
        if source.name != "__init__.py":
            return [(source, self.module)]
        return [(path, _module_name(path, source.parent, self.module)) for path in sorted(source.parent.rglob("*.py"))]


def _module_name(path: Path, root: Path, package: str) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))


def installed() -> list[Plugin]:
    """Return the plugins that entry points announce, the engine's own among them, by name."""
    return list(_found(tuple((folder, _changed(folder)) for folder in sys.path)))


@lru_cache(maxsize=1)  # finding them opens a file of every distribution, and a check asks three times
def _found(path: tuple[tuple[str, int], ...]) -> tuple[Plugin, ...]:
    """Find them anew only where the path, or what lies in a folder of it, has changed."""
    return tuple(sorted({_plugin(point) for point in entry_points(group=GROUP)}, key=lambda plugin: plugin.name))


def _changed(folder: str) -> int:
    """When something was last added to a folder of sys.path or taken from it, in nanoseconds."""
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


def _plugin(point: EntryPoint) -> Plugin:
    known = point.dist.metadata if point.dist else {"Name": "", "Version": ""}
    return Plugin(point.name, point.module, known["Name"], known["Version"])


def load(plugins: Iterable[Plugin]) -> tuple[pluggy.PluginManager, list[Fault]]:
    """Import plugins and register them with pluggy; return its manager, and why those that are left out are."""
    import pluggy

    from retouch.plugins import hooks

    pm = pluggy.PluginManager(hooks.PROJECT)
    pm.add_hookspecs(hooks)
    faults: list[Fault] = []
    for plugin in plugins:
        try:
            pm.register(import_module(plugin.module), plugin.name)
        except Exception as err:  # whatever a stranger's module raises must not stop the others
            faults.append(broken(plugin.name, err))
    while True:  # check_pending stops at the first plugin with a hook that pluggy does not know
        try:
            pm.check_pending()
        except pluggy.PluginValidationError as err:
            faults.append(broken(pm.get_name(err.plugin) or "", err))
            pm.unregister(err.plugin)
        else:
            return pm, faults


def broken(plugin: str, err: BaseException) -> Fault:
    """Return the fault of a plugin that cannot be used at all."""
    what = f"{type(err).__name__}: {err}".splitlines()[0]
    return Fault("RT902", plugin, {"plugin": plugin, "what": what}, getattr(err, "filename", None) or "")


def stages_in(package: str) -> list[Function]:
    """Return the functions of a package that are marked with @stage, in the order of its modules."""
    root = import_module(package)
    below = pkgutil.walk_packages(getattr(root, "__path__", ()), f"{package}.")
    modules = [root, *(import_module(found.name) for found in below)]
    marked = (f for module in modules for _, f in getmembers(module, isfunction) if f.__module__ == module.__name__)
    return [function for function in marked if hasattr(function, "retouch_stage")]
