"""Finding plugins without importing them, and importing them for a run."""

from __future__ import annotations

import os
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib import import_module
from importlib.metadata import Distribution, EntryPoint, entry_points
from importlib.util import find_spec
from inspect import isfunction
from pathlib import Path
from traceback import walk_tb
from typing import TYPE_CHECKING, Any

from retouch.plugins.interrupts import is_stop
from retouch.plugins.signatures import Fault
from retouch.version import __version__

if TYPE_CHECKING:
    import pluggy

GROUP = "retouch.plugins"
_ENGINE = Path(__file__).parents[1]
ENGINE = "retouch"  # the distribution that ships the engine, and with it the built-in plugins
OURS = (ENGINE, "retouch-bench")  # what is made of this source, for this version
CHOICE = "RETOUCH_PLUGINS"  # which others are read: "none", "a, b" these alone, "-a, -b" all but these; all if empty
NONE = "none"
Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Plugin:
    """An installed plugin: a package, or a module of one file."""

    name: str
    module: str
    distribution: str = ""
    version: str = ""
    requires: str = ""  # which versions of the engine its distribution asks for, such as ">=0.2"
    refused: str = ""  # why it is left out before anything of it is read

    @property
    def built_in(self) -> bool:
        """Whether it comes with the engine: its names are the bare ones, and what it says first, counts."""
        return self.distribution in OURS

    def refusal(self) -> Fault | None:
        """Say why nothing of it is read: its name is another's, or it was made for another engine."""
        if self.refused:
            return Fault("RT902", self.name, {"plugin": self.name, "what": self.refused})
        if self.requires and not _meets(self.requires):
            facts = {"plugin": self.name, "wanted": f"retouch {self.requires}", "have": __version__}
            return Fault("RT908", self.name, facts)
        return None

    def source(self) -> Path:
        """Return the file of the announced module, found by the spec of its top-level name, which imports nothing."""
        top, *rest = self.module.split(".")
        source, package = _top(top, _path())
        if package:
            place = source.parent.joinpath(*rest)
            source = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
        elif rest:
            raise ModuleNotFoundError(f"no module named '{self.module}': '{top}' is a single file")
        if source.suffix != ".py" or not source.is_file():
            raise ModuleNotFoundError(f"no source file of '{self.module}', from which stages are read")
        return source

    def files(self) -> Iterable[tuple[Path, str]]:
        """Return each source file with its module name."""
        source = self.source()
        if source.name != "__init__.py":
            return [(source, self.module)]
        root = str(source.parent)
        found = sorted(
            (*folder[len(root) + 1 :].split(os.sep), name) if folder != root else (name,)
            for folder, _, names in os.walk(root)
            for name in names
            if name.endswith(".py")
        )
        return [(source.parent.joinpath(*parts), _module_name(parts, self.module)) for parts in found]


@lru_cache(maxsize=256)  # Python looks through the whole path, and a check asks some forty times
def _top(name: str, path: tuple[tuple[str, int], ...]) -> tuple[Path, bool]:
    """Return the file of a top-level name, and whether it is a package.  path: for which that holds."""
    spec = find_spec(name)
    if spec is None or (spec.origin is None and not spec.submodule_search_locations):
        raise ModuleNotFoundError(f"no module named '{name}'")
    if spec.origin is None:
        raise ModuleNotFoundError(f"the package '{name}' has no __init__.py")
    return Path(spec.origin), bool(spec.submodule_search_locations)


def _module_name(parts: tuple[str, ...], package: str) -> str:
    name = parts[-1].removesuffix(".py")
    return ".".join((package, *parts[:-1], *(() if name == "__init__" else (name,))))


def installed() -> list[Plugin]:
    """Return the plugins that entry points announce and `RETOUCH_PLUGINS` leaves: the built-in ones first, by name."""
    plugins: dict[str, Plugin] = {}
    modules: dict[str, Plugin] = {}  # whose a top module is: of two distributions with one file, Python finds one
    for plugin in sorted(_announced(), key=lambda each: (not each.built_in, each.name, each.distribution)):
        first = modules.setdefault(plugin.module.partition(".")[0], plugin)
        if plugin.name not in plugins and not plugin.refused and first.distribution != plugin.distribution:
            why = f"its module '{plugin.module}' is one of '{first.distribution}', too"
            plugins[plugin.name] = replace(plugin, refused=why)
        elif (known := plugins.setdefault(plugin.name, plugin)) is not plugin:
            # Kept under a longer name, to be told and not to be read.
            called, why = f"{plugin.name} of {plugin.distribution or plugin.module}", f"'{known.distribution}'"
            plugins[called] = replace(plugin, name=called, refused=f"{why} announces a plugin of that name")
    return [plugin for plugin in plugins.values() if plugin.built_in or _is_chosen(plugin.name)]


def _announced() -> tuple[Plugin, ...]:
    """Return what entry points announce, in no order."""
    return _found(_path())


@lru_cache(maxsize=1)  # finding them opens a file of every distribution, and a check asks three times
def _found(path: tuple[tuple[str, int], ...]) -> tuple[Plugin, ...]:
    """Find them anew only where the path, or what lies in a folder of it, has changed."""
    return tuple({_plugin(point) for point in entry_points(group=GROUP)})


def _path() -> tuple[tuple[str, int], ...]:
    """Where Python looks for modules, and when each place was changed."""
    return tuple((folder, _changed(folder)) for folder in sys.path)


def _changed(folder: str) -> int:
    """When something was last added to a folder of sys.path or taken from it, in nanoseconds."""
    try:
        return os.stat(folder or ".").st_mtime_ns
    except OSError:
        return 0


def _choice() -> list[str]:
    return [word.strip() for word in os.environ.get(CHOICE, "").split(",") if word.strip()]


def _is_chosen(name: str) -> bool:
    words = _choice()
    only = [word for word in words if not word.startswith("-")]
    return f"-{name}" not in words and (not only or name in only)


def unknown_choices() -> list[str]:
    """Return the names that `RETOUCH_PLUGINS` speaks of and that no plugin has."""
    if not _choice():
        return []
    there = {plugin.name for plugin in _announced()} | {NONE}
    return [word for word in _choice() if word.removeprefix("-") not in there]


def strangers() -> list[str]:
    """Return the names of the plugins that may be left out: all that do not come with the engine."""
    return sorted({plugin.name for plugin in _announced() if not plugin.built_in})


def is_built_in(module: str) -> bool:
    """Whether a module is of a plugin that comes with the engine."""
    top = module.partition(".")[0]
    return any(plugin.module.partition(".")[0] == top for plugin in _announced() if plugin.built_in)


@contextmanager
def leaving_out(names: Iterable[str]) -> Iterator[None]:
    """Read nothing of these plugins meanwhile, in this process and in those that it starts."""
    before = os.environ.get(CHOICE)
    more = [f"-{name}" for name in names]
    if more:
        os.environ[CHOICE] = ",".join([*_choice(), *more])
    try:
        yield
    finally:
        if more and before is None:
            del os.environ[CHOICE]
        elif more and before is not None:
            os.environ[CHOICE] = before


def _plugin(point: EntryPoint) -> Plugin:
    name, version, requires = _said(point.dist) if point.dist else ("", "", "")
    try:
        module = point.module
    except AttributeError:  # what it announces is not of the form "package.module"
        return Plugin(point.name, "", name, version, refused=f"its entry point '{point.value}' names no module")
    return Plugin(point.name, module, name, version, requires, _unfit(point))


def _unfit(point: EntryPoint) -> str:
    """What is wrong with the words that announce a plugin; empty if nothing is."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", point.name) or point.name == NONE:
        return "its name has to be a word of the letters a to z, digits and _, as recipes write it"
    if point.attr:
        return f"its entry point '{point.value}' has to name a module alone, '{point.module}'"
    return ""


def _said(dist: Distribution) -> tuple[str, str, str]:
    """Name and version of a distribution, and what it asks of the engine; empty where its metadata is broken."""
    try:
        name, version = dist.metadata["Name"] or "", dist.metadata["Version"] or ""
        return name, version, "" if name == ENGINE else _required(dist.requires or ())
    except Exception:  # whatever stands there, the others are read
        return "", "", ""


def _required(lines: Iterable[str]) -> str:
    from packaging.requirements import InvalidRequirement, Requirement
    from packaging.utils import canonicalize_name

    for line in lines:
        try:
            wanted = Requirement(line)
        except InvalidRequirement:
            continue
        if canonicalize_name(wanted.name) == ENGINE and (wanted.marker is None or wanted.marker.evaluate()):
            return str(wanted.specifier)
    return ""


def _meets(specifier: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(__version__, prereleases=True)


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
        except BaseException as err:  # whatever a stranger's module raises must not stop the others
            if is_stop(err):
                raise
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
    """Return the fault of a plugin that cannot be used at all, with the line of its code or of what that uses."""
    what = f"{type(err).__name__}: {err}".splitlines()[0].removesuffix(": ")
    if isinstance(err, SyntaxError):  # of its own file, which it names
        return Fault("RT902", plugin, {"plugin": plugin, "what": what}, err.filename or "")
    steps = [(Path(frame.f_code.co_filename), line) for frame, line in walk_tb(err.__traceback__)]
    own = [(file, line) for file, line in steps if not file.is_relative_to(_ENGINE) and file.is_file()]
    file, line = own[-1] if own else ("", 0)
    return Fault("RT902", plugin, {"plugin": plugin, "what": what}, str(file), line)


def stages_in(package: str) -> list[Function]:
    """Return the functions of a package that are marked with @stage, in the order of its modules."""
    root = import_module(package)
    below = pkgutil.walk_packages(getattr(root, "__path__", ()), f"{package}.")
    modules = [root, *(import_module(found.name) for found in below)]
    own = (f for module in modules for f in vars(module).values() if isfunction(f) and f.__module__ == module.__name__)
    return [function for function in own if hasattr(function, "retouch_stage")]
