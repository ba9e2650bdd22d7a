"""All laws of a stage at once, by its family: what a plugin's own test calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from inspect import signature
from itertools import chain
from typing import Any

from retouch.core.denoiser import Denoiser
from retouch.core.gradient_guidance import GradientGuidance
from retouch.core.large.windowed import WindowedDenoiser
from retouch.core.values import Image
from retouch.core.walk import Blend, Trajectory
from retouch.testing.laws import conduct, declared, families, files, leading, walks
from retouch.testing.laws.running import Stage, bare, outcome
from retouch.testing.laws.turns import turn_law
from retouch.testing.worlds import FADED, World, tiny_world

Law = Callable[..., Any]


def stage_laws(
    stage: Stage, world: World | None = None, *, tolerance: float | None = None, affine: bool = True, **options: Any
) -> list[str]:
    """Hold a stage to every law of its family; return the names of those that it was held to.

    Raises AssertionError, which says which is broken, and by how much.

    world: what its ports are given; by default those of a random network.
    tolerance: how far an inversion may come back from the picture where nothing is changed; None if that is no promise.
    affine: whether a guidance is a weighted sum of predictions; one with a threshold is not.
    options: of the stage, or ports by name.
    """
    world, given = world or tiny_world(steps=4), dict(options)
    if "path" in signature(stage).parameters:
        given.setdefault("path", "made")
    declared.card_law(stage)
    made = outcome(world, stage, given)
    result_law = partial(declared.result_law, stage, world, made)
    kept: list[str] = ["card_law"]
    for name, law in chain(_of_family(stage, world, given, made, tolerance, affine), _of_any(stage, world, given)):
        try:
            law()
        except AssertionError:
            raise
        except Exception:  # as of what has another type than the law takes
            result_law()
            raise
        kept.append(name)
    result_law()  # last, since laws of a family say by how much
    return [*kept, "result_law"]


def _of_any(stage: Stage, world: World, given: dict[str, Any]) -> Iterator[tuple[str, Law]]:
    for law in (conduct.repeat_law, conduct.untouched_law):
        yield law.__name__, partial(law, stage, world, **given)
    ports = signature(stage).parameters.values()
    learnt = {port.name: 1 for port in ports if bare(port) == "TrainingPictures"}
    drawn = {"draws": len(FADED)} if "Candidates" in map(bare, ports) else {}
    yield "rows_law", partial(conduct.rows_law, stage, world, facts={"guide": 1, **learnt, **drawn}, **given)


_FAMILIES: Mapping[str, tuple[Law, ...]] = {
    "invert": (conduct.facts_law,),
    "guide": (conduct.guided_rows_law,),
    "mask": (families.mask_law,),
    "save": (files.output_law,),
    "measure": (files.measure_law,),
    "schedule": (walks.schedule_law,),
    "solver": (walks.solver_law,),
}


def _of_family(
    stage: Stage, world: World, given: dict[str, Any], made: Any, tolerance: float | None, affine: bool
) -> Iterator[tuple[str, Law]]:
    mark = conduct.mark_of(stage)
    laws = (families.called_law, families.touch_law, families.identity_law) if mark.touches else ()
    if any(bare(port) == "Turn" for port in signature(stage).parameters.values()):
        laws = (*laws, turn_law)
    for law in (*laws, *_FAMILIES.get(mark.family, ())):
        yield law.__name__, partial(law, stage, world, **given)
    match made:
        case Trajectory():
            if made.pinned:
                yield "source_law", partial(families.source_law, stage, tolerance=1e-5, **given)
            if tolerance is not None:
                yield "replay_law", partial(families.replay_law, stage, tolerance=tolerance, **given)
        case Denoiser():
            law = walks.windows_law if isinstance(made, WindowedDenoiser) else walks.tune_law
            yield law.__name__, partial(law, stage, world, **given)
        case Blend(reads=None):  # one that reads follows maps, not the mask
            yield "blend_law", partial(families.blend_law, stage, world, **given)
        case Image() if mark.family == "blend":
            yield "pixels_law", partial(families.pixels_law, stage, world, **given)
        case Image():
            yield "picture_law", partial(files.picture_law, stage, world, **given)
        case GradientGuidance():
            yield "leading_law", partial(leading.leading_law, stage, **given)
        case guidance if mark.family == "guide" and affine:
            yield "guidance_law", partial(families.guidance_law, guidance)
        case _:
            return
