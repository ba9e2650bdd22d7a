"""Which stages there are, by family and method: cards for checking, functions for running."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any

from retouch.plugins import cost
from retouch.plugins.announced import announced
from retouch.plugins.discovery import Plugin, broken, installed
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
        self.live = LivePlugins(plugins)
        self._methods: dict[str, dict[str, list[StageCard]]] = {}
        for card in self.cards:
            self._methods.setdefault(card.family, {}).setdefault(card.method, []).append(card)
        # Types of which a flow holds all, since some stage takes all: attention controls, blends.
        self.gathered = frozenset(port.type for card in self.cards for port in card.ports if port.many)

    @property
    def families(self) -> list[str]:
        return list(self._methods)

    def methods(self, family: str) -> list[str]:
        return list(self._methods.get(family, ()))

    def candidates(self, family: str, method: str) -> list[StageCard]:
        """Return the stages of that name: none, one, or one of each plugin that claims it. `plugin.method` chooses."""
        plugin, _, name = method.rpartition(".")
        found = self._methods.get(family, {}).get(name, [])
        return [card for card in found if not plugin or card.plugin == plugin]

    def find(self, family: str, method: str) -> StageCard | None:
        found = self.candidates(family, method)
        return found[0] if len(found) == 1 else None

    def default(self, family: str) -> StageCard | None:
        """Return the method that a bare family stands for."""
        cards = [card for method in self._methods.get(family, {}).values() for card in method]
        chosen = [card for card in cards if card.default]
        return chosen[0] if chosen else cards[0] if len(cards) == 1 else None

    def makers(self, type_: str) -> list[str]:
        """Return the families that have a stage which makes a value of this type."""
        return list(dict.fromkeys(card.family for card in self.cards if card.output == type_))

    def function(self, card: StageCard) -> Callable[..., Any]:
        """Return the marked function behind a card, from its module; one that is not as its card says is refused."""
        try:
            function = getattr(import_module(card.module), card.function)
        except Exception as err:  # a stranger's module may raise anything
            raise PluginError(broken(card.plugin, err)) from err
        loaded = self.live.get(card.plugin)
        if loaded and loaded[1]:
            raise PluginError(loaded[1][0])
        wrong = [*differences(card, function), self.live.refusal(card, function)]
        if wrong[0]:
            facts = {"stage": card.name, "what": wrong[0]}
            raise PluginError(Fault("RT904", card.plugin, facts, card.file, card.line))
        return function


def load(plugins: Iterable[Plugin] | None = None) -> Registry:
    """Return the stages of the plugins given, or of all that are installed; nothing of them is imported."""
    cards: list[StageCard] = []
    faults: list[Fault] = []
    plugins = tuple(installed() if plugins is None else plugins)
    for plugin in plugins:
        found, wrong = _read(plugin)
        cards += found
        faults += wrong
    fine = [card for card in cards if not (wrong := _refused(card, cards)) or faults.append(wrong)]
    return Registry(fine, [*faults, *_duplicates(fine)], plugins)


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
    except (SyntaxError, ValueError, OSError, ImportError) as err:
        return [], [broken(plugin.name, err)]
    return cards, faults


def _refused(card: StageCard, cards: Iterable[StageCard]) -> Fault | None:
    if card.api != API_VERSION:
        facts = {"plugin": card.plugin, "wanted": str(card.api), "have": str(API_VERSION)}
        mend = card.plugin if card.api < API_VERSION else "retouch"
        return Fault("RT901", card.plugin, facts | {"mend": mend}, card.file, card.line)
    if wrong := cost.misstated(card, cost.FACTS.union(*(other.facts for other in cards))):
        return Fault("RT904", card.plugin, {"stage": card.name, "what": wrong}, card.file, card.line)
    return None


def _duplicates(cards: Iterable[StageCard]) -> list[Fault]:
    # Both stay, each under its plugin's name; the bare name is what nobody may use.
    seen: dict[tuple[str, str], StageCard] = {}
    faults: list[Fault] = []
    for card in cards:
        first = seen.setdefault((card.family, card.method), card)
        if first is not card:
            facts = {"family": card.family, "method": card.method, "a": first.plugin, "b": card.plugin}
            faults.append(Fault("RT903", card.plugin, facts, card.file, card.line))
    return faults
