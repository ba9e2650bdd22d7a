"""Plugins that are imported: what pluggy gets from their hooks, held against what was read."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, get_args

from retouch.plugins.announced import LITERAL, Announced, announced
from retouch.plugins.discovery import Plugin, broken, load
from retouch.plugins.importing import surrounded
from retouch.plugins.interrupts import is_stop
from retouch.plugins.signatures import Fault, StageCard

if TYPE_CHECKING:
    import pluggy

Function = Callable[..., Any]
Tell = Callable[[str, Mapping[str, Any]], None]


class LivePlugins:
    """Plugins that were imported and registered with pluggy, one by one as a run needs them."""

    def __init__(self, plugins: Iterable[Plugin] = ()) -> None:
        self._plugins = {plugin.name: plugin for plugin in plugins}
        self._loaded: dict[str, tuple[pluggy.PluginManager, list[Fault]]] = {}
        self.changed: dict[str, list[str]] = {}  # by plugin, what its import changed for everyone; it was put back
        self._stages: dict[str, list[Function] | None] = {}  # None: it has no such hook
        self._accepted: dict[int, tuple[StageCard, Function]] = {}  # by the card's identity
        self._types: dict[str, tuple[str, type]] = {}  # name of a port's type -> plugin, class

    def __reduce__(self) -> tuple[Any, ...]:
        """Go to another process without what was imported here."""
        return LivePlugins, (tuple(self._plugins.values()),)

    def get(self, name: str) -> tuple[pluggy.PluginManager, list[Fault]] | None:
        """Import a plugin and call its registering hooks; None for a name that is no plugin's."""
        if name in self._plugins and name not in self._loaded:
            with surrounded(self._plugins[name].module, self.changed.setdefault(name, []).append):
                manager, faults = load([self._plugins[name]])
                self._loaded[name] = (manager, faults or self._registered(name, manager))
        return self._loaded.get(name)

    def _registered(self, name: str, manager: pluggy.PluginManager) -> list[Fault]:
        """Call the hooks that register; what they raise is the plugin's fault."""
        try:
            faults: list[Fault] = []
            for type_ in _flat(manager.hook.retouch_port_types()):
                first, known = self._types.setdefault(type_.__name__, (name, type_))
                if known is not type_:
                    facts = {"type": type_.__name__, "a": first, "b": name}
                    faults.append(Fault("RT906", name, facts))
            found = [*disagreements(announced(self._plugins[name]), manager), *faults]
            # Once: a package looks through all its modules for them, and a run asks with every stage that begins.
            registered = manager.hook.retouch_stages()
            for each in registered:
                if not isinstance(each, Iterable) or isinstance(each, Mapping):
                    raise TypeError(
                        f"retouch_stages gives a {type(each).__name__}, and not a list of functions, [f, g]"
                    )
            self._stages[name] = _flat(registered) if registered else None
        except BaseException as err:
            if is_stop(err):
                raise
            # One plugin that cannot register leaves the others as they are.
            return [broken(name, err)]
        return found

    def accept(self, card: StageCard, function: Function) -> None:
        """Remember that this very function is as its card says."""
        self._accepted[id(card)] = card, function

    def has_accepted(self, card: StageCard, function: Function) -> bool:
        """Whether it has been held against its card already; a stage begins once for each picture and window."""
        return self._accepted.get(id(card), (card, None))[1] is function

    def refusal(self, card: StageCard, function: Function) -> str | None:
        """Say why a stage may not run although it is as its card says: it is not registered, or its types are not."""
        if self.get(card.plugin) is None:
            return None
        # The very function, not its name: what a recipe was checked against has to be what runs.
        stages = self._stages.get(card.plugin)
        if stages is not None and function not in stages:
            return "its plugin's retouch_stages leaves it out"
        hints = getattr(function, "__annotations__", {})
        scope = getattr(function, "__globals__", {})
        for port in card.ports:
            hint = hints.get(port.name)
            # With `from __future__ import annotations` a hint is text; what is no plain name is left to the wiring.
            real = scope.get(hint) if isinstance(hint, str) else hint
            for each in (real, *get_args(real)):
                owner, known = self._types.get(getattr(each, "__name__", ""), ("", each))
                if known is not each:
                    return f"its port '{port.name}' is another '{port.type}' than the one that '{owner}' registers"
        return None

    def observing(self, tell: Tell | None) -> Tell | None:
        """Let plugins that observe hear of each call of a run, besides `tell`."""
        readers = [
            plugin.name for plugin in self._plugins.values() if "retouch_batch_evaluated" in announced(plugin).hooks
        ]
        managers = {name: loaded[0] for name in readers if (loaded := self.get(name)) and not loaded[1]}
        if not managers:
            return tell

        def both(event: str, facts: Mapping[str, Any]) -> None:
            if tell:
                tell(event, facts)
            for name, manager in list(managers.items()) if event == "call" else ():
                wrong: list[str] = []
                try:
                    with surrounded(self._plugins[name].module, wrong.append):
                        manager.hook.retouch_batch_evaluated(**facts)
                except BaseException as err:  # an observer may not stop a run
                    if is_stop(err):
                        raise
                    why = f"{type(err).__name__}: {err}"
                else:
                    why = f"it changes {wrong[0]}" if wrong else ""
                if why:
                    del managers[name]
                    with warnings.catch_warnings():  # nor turn what is told of it into an error
                        warnings.simplefilter("always")
                        warnings.warn(f"plugin '{name}' no longer observes: {why}", stacklevel=1)

        return both


def disagreements(read: Announced, manager: pluggy.PluginManager) -> list[Fault]:
    """Compare what the literal hooks return with what was read of them."""
    faults: list[Fault] = []
    for name in LITERAL:
        real = {key: text for each in getattr(manager.hook, name)() for key, text in each.items()}
        said = dict(read.literals.get(name, {}))
        if real != said:
            facts = {"stage": name, "what": f"it returns {real}, and its source says {said}"}
            faults.append(Fault("RT904", read.plugin.name, facts))
    return faults


def _flat(groups: Iterable[Iterable[Any]]) -> list[Any]:
    return [each for group in groups for each in group]
