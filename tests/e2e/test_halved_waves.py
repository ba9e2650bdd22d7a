"""Where memory holds fewer pictures than a wave has, the wave is halved and all of them are done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retouch import pictures
from retouch.check.check import check
from retouch.run import providers
from retouch.run.files.provenance import Request
from retouch.run.outcome import RunResult
from retouch.run.session import execute
from retouch.run.settings import Settings
from retouch.testing.pretend.device import pretended
from tests.e2e.command import draw, left_in
from tests.e2e.sessions import INSTALLED, KEPT, graphs, tiny_world

real = pictures.decoded


class SmallMemory:
    """Memory for so many pictures at once: one more cannot be read.  A picture is let go when it is saved."""

    def __init__(self, room: int, too_large: str = "") -> None:
        self.room, self.too_large, self.held = room, too_large, 0
        self.events: list[str] = []
        self.stages: list[str] = []

    def decoded(self, path: str, **options: Any) -> Any:
        if self.held == self.room or Path(path).name == self.too_large:
            raise MemoryError
        self.held += 1
        return real(path, **options)

    def tell(self, event: str, facts: Mapping[str, Any]) -> None:
        self.events.append(event)
        self.stages += [facts["stage"]] if event == "stage" else []
        self.held -= event == "saved"


@pytest.mark.parametrize("room", [1, 2])
def test_a_wave_that_does_not_fit_is_halved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    sources = [draw(tmp_path / f"{n}.png") for n in range(5)]
    memory = SmallMemory(room, "3.png")
    monkeypatch.setattr(pictures, "decoded", memory.decoded)
    made = graphs("encode | decode", sources, tmp_path / "out")
    result = execute(made, registry=INSTALLED, request=Request(), machine=KEPT, tell=memory.tell, keep=False)
    assert left_in(tmp_path / "out") == {"0.png", "1.png", "2.png", "4.png"}
    assert [each.item.name for each in result.outcomes if each.item] == ["0", "1", "2", "3", "4"]
    assert [[found.code for found in each.failures] for each in result.outcomes] == [[], [], [], ["RT503"], []]
    assert [len(each.files) for each in result.outcomes] == [1, 1, 1, 0, 1]
    assert "halved" in memory.events
    assert memory.events.count("saved") == 4


SHARED = 'invert sdedit "cat"->"dog" | guide image_text'  # the eye and what it reads are of no picture


@pytest.mark.thorough
def test_what_is_done_again_in_smaller_waves_has_the_values_that_pictures_share(tmp_path, monkeypatch):
    sources = [draw(tmp_path / f"{n}.png") for n in range(3)]
    memory = SmallMemory(1)
    monkeypatch.setattr(pictures, "decoded", memory.decoded)
    made = graphs(SHARED, sources, tmp_path / "out", steps=2)
    outcomes = execute(made, registry=INSTALLED, request=Request(), machine=KEPT, tell=memory.tell).outcomes
    assert "halved" in memory.events
    assert memory.stages.count("eye clip") == 1
    wanted = {node.id for node in made[0].nodes if node.card.output}
    assert any(id_.startswith("eye") for id_ in wanted)
    for outcome in outcomes:
        assert not outcome.failures
        assert wanted <= outcome.values.keys()
        assert not [id_ for id_ in wanted if outcome.values[id_] is None]


@pytest.mark.parametrize("what", ["Pretrained", "Edit"])
def test_what_pictures_share_is_made_again_too_where_it_did_not_fit(tmp_path, monkeypatch, what):
    sources = [draw(tmp_path / f"{n}.png") for n in range(3)]
    left, maker = [MemoryError()], providers._maker

    def short(edge, machine):
        make = maker(edge, machine)

        def start():
            if edge.type == what and left:
                raise left.pop()
            return make()

        return start

    monkeypatch.setattr(providers, "_maker", short)
    made = graphs(SHARED, sources, tmp_path / "out", steps=2)
    events: list[str] = []
    outcomes = execute(
        made,
        registry=INSTALLED,
        request=Request(),
        machine=KEPT,
        tell=lambda event, _: events.append(event),
        keep=False,
    ).outcomes
    assert not left
    assert "halved" in events
    assert [[found.code for found in each.failures] for each in outcomes] == [[], [], []]


LARGE = 'invert ddim "cat"->"dog" | attend p2p | mask box right=50% | blend latent | blend pixel'


@pytest.mark.thorough
def test_on_a_gpu_waves_are_halved_until_their_pictures_fit_beside_the_model(tmp_path: Path) -> None:
    """For one alone that does not fit, that is told."""
    here = tiny_world(tmp_path, steps=2)
    copies = [replace(here.pictures[0], path=tmp_path / f"{number}.png", index=number) for number in range(4)]
    for copy in copies:
        copy.path.write_bytes(here.pictures[0].path.read_bytes())
    most: dict[int, int] = {}

    def edited(count: int, room: int) -> tuple[RunResult, list[str]]:
        events: list[str] = []
        checked = check(LARGE, replace(here, pictures=tuple(copies[:count]), force=True))
        assert not checked.errors
        with pretended(room=room) as device:
            told = {"settings": Settings("cuda"), "tell": lambda event, _: events.append(event), "keep": False}
            result = execute(checked.graphs, registry=INSTALLED, **told)
        assert device.memory
        most[count] = device.memory.most
        return result, events

    assert "halved" not in edited(1, 2**40)[1] + edited(4, 2**40)[1]
    one, four = most[1], most[4]
    result, events = edited(4, one + (four - one) // 10)
    assert [each.failures for each in result.outcomes] == [[]] * 4
    assert "halved" in events
    result, _ = edited(1, one * 3 // 4)
    assert [each.code for each in result.outcomes[0].failures] == ["RT503"]
