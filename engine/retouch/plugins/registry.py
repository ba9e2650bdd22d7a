"""Which stages there are, by family and method: cards for checking, functions for running."""

from __future__ import annotations

import copy
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import replace
from pathlib import Path
from typing import Any

from retouch.near import nearest
from retouch.paths import content
from retouch.plugins import cost
from retouch.plugins.announced import announced
from retouch.plugins.discovery import Plugin, broken, installed
from retouch.plugins.importing import imported_stages
from retouch.plugins.interrupts import is_stop
from retouch.plugins.live import LivePlugins
from retouch.plugins.signatures import Fault, StageCard
from retouch.plugins.signatures.agreement import differences
from retouch.plugins.signatures.reading import read_module
from retouch.version import API_VERSION


class PluginError(Exception):
    """A stage whose module cannot be used."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(" ".join(fault.facts.values()))
        self.fault = fault


class Registry:
    """The cards of all plugins that can be read, and the faults of those that cannot."""

    def __init__(
        self, cards: Iterable[StageCard], faults: Iterable[Fault] = (), plugins: Iterable[Plugin] = ()
    ) -> None:
        self.cards = tuple(cards)
        self.faults = tuple(faults)
        plugins = tuple(plugins)
        self.live = LivePlugins(plugins)
        self.built_in = frozenset(plugin.name for plugin in plugins if plugin.built_in)
        self.chosen: Mapping[str, StageCard] = {}  # by family, the default that a recipe or a command line chose
        self._methods: dict[str, dict[str, list[StageCard]]] = {}
        for card in self.cards:
            self._methods.setdefault(card.family, {}).setdefault(card.method, []).append(card)
        # Types of which a flow holds all, since some stage takes all: attention controls, blends.
        self.gathered = frozenset(port.type for card in self.cards for port in card.ports if port.many)

    @property
    def families(self) -> list[str]:
        """What stages are for: `invert`, `mask` and so on, in the order in which they were found."""
        return list(self._methods)

    def methods(self, family: str) -> list[str]:
        """Return the names of a family's methods; none of one that there is not."""
        return list(self._methods.get(family, ()))

    def candidates(self, family: str, method: str) -> list[StageCard]:
        """Return the stages of that name: none, one, or one of each plugin that claims it. `plugin.method` chooses."""
        plugin, _, name = method.rpartition(".")
        found = self._methods.get(family, {}).get(name, [])
        if plugin:
            return [card for card in found if card.plugin == plugin]
        return [card for card in found if card.plugin in self.built_in] or found  # the bare name is a built-in's

    def faulty(self, family: str, method: str) -> Fault | None:
        """Return what keeps a stage of this name from being one, of a plugin that is installed."""
        marked = re.compile(rf"""(["']){re.escape(family)}\1\s*,\s*(["']){re.escape(method)}\2""")
        for fault in self.faults:
            if fault.facts.get("stage") == f"{family} {method}":
                return fault
            # Of what cannot be read at all nobody knows its stages; the text may tell.
            if fault.code in ("RT902", "RT905") and fault.file and marked.search(_text(fault.file)):
                return fault
        return None

    def find(self, family: str, method: str) -> StageCard | None:
        """Return the one stage of that name; None where there is none, or several plugins claim it."""
        found = self.candidates(family, method)
        return found[0] if len(found) == 1 else None

    def default(self, family: str) -> StageCard | None:
        """Return the method that a bare family stands for: the one that was chosen, or else the built-in default.

        What is installed besides decides only in families that are not built in.
        """
        if family in self.chosen:
            return self.chosen[family]
        cards = [card for method in self._methods.get(family, {}).values() for card in method]
        cards = [card for card in cards if card.plugin in self.built_in] or cards
        stated = [card for card in cards if card.default] or cards
        return stated[0] if len(stated) == 1 else None

    def choosing(self, defaults: Mapping[str, StageCard]) -> Registry:
        """Return the same stages with other defaults, by family."""
        other = copy.copy(self)
        other.chosen = {**self.chosen, **defaults}
        return other

    def notes(self, plugin: str) -> list[str]:
        """Say where a plugin's stages are not called as their marks say, since the built-in ones are."""
        found: list[str] = []
        for card in self.cards if plugin not in self.built_in else ():
            makers = [each.plugin for each in self._methods[card.family][card.method]]
            # Of two of its own a fault has told, and no name calls either.
            if card.plugin == plugin and card.shared and makers.count(plugin) == 1:
                found.append(f"write '{card.name}': '{card.family} {card.method}' is another plugin's, too")
            first = self.default(card.family)
            if card.plugin == plugin and card.default and first is not card:
                stays = f"'{first.name}' stays the default" if first else "it is one of several defaults"
                said = card.name.partition(" ")[2]
                found.append(
                    f"{stays}; in a recipe 'defaults {card.family}=\"{said}\"' makes '{card.name}' the default"
                )
        return found

    def makers(self, type_: str) -> list[str]:
        """Return the families that have a stage which makes a value of this type."""
        return list(dict.fromkeys(card.family for card in self.cards if card.output == type_))

    def unusable(self, plugin: str) -> Iterator[Fault]:
        """Import every stage of a plugin, and say what keeps any from running."""
        read = {(card.module, card.function) for card in self.cards}
        modules: dict[str, StageCard] = {card.module: card for card in self.cards if card.plugin == plugin}
        for card in self.cards:
            if card.plugin == plugin:
                try:
                    self.function(card)
                except PluginError as err:
                    yield err.fault
        for name, card in modules.items():
            for function in vars(sys.modules.get(name, object)).copy().values():
                marked = getattr(function, "retouch_stage", None) is not None
                if marked and function.__module__ == name and (name, function.__name__) not in read:
                    what = "it is marked, and its mark cannot be read from the source: write @stage(…) above it"
                    yield Fault("RT904", plugin, {"stage": function.__name__, "what": what}, card.file)

    def function(self, card: StageCard) -> Callable[..., Any]:
        """Return the marked function behind a card, from its module; one that is not as its card says is refused."""
        try:
            changed = self.live.changed.setdefault(card.plugin, [])
            function = getattr(imported_stages(card.module, changed.append), card.function)
        except BaseException as err:  # a stranger's module may raise anything
            if is_stop(err):
                raise
            raise PluginError(broken(card.plugin, err)) from err
        if self.live.has_accepted(card, function):
            return function
        loaded = self.live.get(card.plugin)
        if loaded and loaded[1]:
            raise PluginError(loaded[1][0])
        wrong = [*differences(card, function), self.live.refusal(card, function)]
        if wrong[0]:
            facts = {"stage": card.name, "what": wrong[0]}
            raise PluginError(Fault("RT904", card.plugin, facts, card.file, card.line))
        self.live.accept(card, function)
        return function


def _text(file: str) -> str:
    try:
        return content(Path(file)).decode("utf-8", "replace")
    except OSError:
        return ""


def load(plugins: Iterable[Plugin] | None = None) -> Registry:
    """Return the stages of the plugins given, or of all that are installed; nothing of them is imported."""
    cards: list[StageCard] = []
    faults: list[Fault] = []
    plugins = tuple(installed() if plugins is None else plugins)
    for plugin in plugins:
        found, wrong = _read(plugin)
        cards += found
        faults += wrong
    own = {plugin.name for plugin in plugins if plugin.built_in}
    families = {card.family for card in cards if card.plugin in own}
    facts = cost.FACTS.union(*(card.facts for card in cards))
    # `append` gives None: what is refused is noted, and left out.
    fine = [card for card in cards if not (wrong := _refused(card, facts, families)) or faults.append(wrong)]
    fine, doubled = _told_apart(fine, own)
    return Registry(fine, [*faults, *doubled], plugins)


def _read(plugin: Plugin) -> tuple[list[StageCard], list[Fault]]:
    """Read a plugin's cards.  A file that cannot be read disables all of it: half of one would be a surprise."""
    cards: list[StageCard] = []
    faults = list(announced(plugin).faults)
    if faults:
        return [], faults
    try:
        for path, module in plugin.files():
            found, wrong = read_module(path, module, plugin.name)
            cards += found
            faults += wrong
    except Exception as err:  # whatever a stranger's files hold
        return [], [broken(plugin.name, err)]
    return cards, faults


def _refused(card: StageCard, known: Set[str], families: set[str]) -> Fault | None:
    if card.api != API_VERSION:
        facts = {"plugin": card.plugin, "wanted": str(card.api), "have": str(API_VERSION)}
        mend = card.plugin if card.api < API_VERSION else "retouch"
        return Fault("RT901", card.plugin, facts | {"mend": mend}, card.file, card.line)
    if card.family not in families and (meant := nearest(card.family, families, 0.8)):
        what = f"no family is called '{card.family}'; did you mean '{meant}'?"
        return Fault("RT904", card.plugin, {"stage": card.name, "what": what}, card.file, card.line)
    try:
        wrong = cost.misstated(card, known)
    except Exception as err:  # whatever stands in a stranger's marks, the others are read
        return broken(card.plugin, err)
    if wrong:
        return Fault("RT904", card.plugin, {"stage": card.name, "what": wrong}, card.file, card.line)
    return None


def claimed(family: str, method: str, a: str, b: str) -> dict[str, Any]:
    """What is said of two stages of one name, of two plugins or of one."""
    mend = f"write {family} {a}.{method}" if a != b else "give one of them another name"
    return {"family": family, "method": method, "a": a, "b": b if a != b else "again from it", "mend": mend}


def _told_apart(cards: list[StageCard], own: set[str]) -> tuple[list[StageCard], list[Fault]]:
    """Give stages of one name the names that tell them apart: a built-in one keeps it, the others are `plugin.name`.

    Where no built-in one has it, nobody may use the bare name, which is a fault; so are two of one plugin.
    """
    same: dict[tuple[str, str], list[StageCard]] = {}
    for card in cards:
        same.setdefault((card.family, card.method), []).append(card)
    faults: list[Fault] = []
    for (family, method), (first, *others) in same.items():
        bare = not own & {first.plugin, *(card.plugin for card in others)}
        seen = [first.plugin]
        for card in others:
            twice = card.plugin in seen and card.plugin not in own  # its own name calls neither
            if bare or twice:
                facts = claimed(family, method, card.plugin if twice else first.plugin, card.plugin)
                faults.append(Fault("RT903", card.plugin, facts, card.file, card.line))
            seen.append(card.plugin)
    shared = {key for key, found in same.items() if len(found) > 1}
    named = [replace(c, shared=True) if (c.family, c.method) in shared and c.plugin not in own else c for c in cards]
    return named, faults
