"""What is installed is whole: every card is readable and says what its function says."""

from __future__ import annotations

import pytest

from retouch.plugins import discovery, registry
from retouch.plugins.signatures.agreement import differences

REGISTRY = registry.load()


def test_every_installed_stage_can_be_read():
    assert not REGISTRY.faults
    assert REGISTRY.cards


@pytest.mark.parametrize("card", REGISTRY.cards, ids=lambda card: card.name)
def test_card_and_function_agree(card):
    function = REGISTRY.function(card)
    assert not differences(card, function)
    mark = function.retouch_stage
    assert (mark.family, mark.method, mark.version, mark.rows) == (card.family, card.method, card.version, card.rows)
    assert (mark.touches, dict(mark.facts)) == (card.touches, dict(card.facts))


def test_cards_are_what_the_hooks_register():
    pm, faults = discovery.load(discovery.installed())
    assert not faults
    registered = {(f.retouch_stage.family, f.retouch_stage.method) for group in pm.hook.retouch_stages() for f in group}
    assert registered == {(card.family, card.method) for card in REGISTRY.cards}
