"""Attention and feature controls: functions of one site, called only where their touches say."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from retouch.core.declared.touches import Site, Touch
from retouch.core.values import Role


class MapRows(Protocol):
    """Attention probabilities by row: what is read is computed, only what is written leaves the fused result."""

    def __getitem__(self, row: int) -> Tensor:
        """[heads, queries, keys]"""
        ...

    def __setitem__(self, row: int, value: Tensor) -> None:
        """Let this row attend so instead.  [heads, queries, keys]"""
        ...


class SiteCall:
    """One site, seen by one scope: its rows only, roles relative to its `together`.

    q, k, v: Tensor  # [rows, heads, tokens, dim], written in place (touches of q, k, v, qk, kv)
    probs: rows of attention maps, read and written by index (touches of probs)
    out: Tensor  # [rows, heads, queries, dim], written in place (touches of out; v may be read)
    features: Tensor  # [rows, C, h, w], written in place (touches of features)
    progress: the share of the walk's steps that were taken before, from 0 to below 1
    Only what the touch names may be used; the rest raises AttributeError.
    """

    __slots__ = ("_tensors", "progress", "roles", "site")

    def __init__(self, site: Site, roles: Sequence[Role], progress: float = 0.0, **tensors: Tensor | MapRows) -> None:
        self.site, self.roles, self.progress, self._tensors = site, roles, progress, tensors

    def _get(self, name: str) -> Tensor:
        if name not in self._tensors:
            raise AttributeError(f"'{name}' is not to be had here; the touch of this function names another tensor")
        return self._tensors[name]  # pyright: ignore[reportReturnType]

    @property
    def q(self) -> Tensor:
        """Queries.  [rows, heads, queries, dim]"""
        return self._get("q")

    @property
    def k(self) -> Tensor:
        """Keys.  [rows, heads, keys, dim]"""
        return self._get("k")

    @property
    def v(self) -> Tensor:
        """Values.  [rows, heads, keys, dim]"""
        return self._get("v")

    @property
    def out(self) -> Tensor:
        """What attention gives, before the output projection.  [rows, heads, queries, dim]"""
        return self._get("out")

    @property
    def features(self) -> Tensor:
        """What the last convolution of a residual block gives, before the skip is added.  [rows, C, h, w]"""
        return self._get("features")

    @property
    def probs(self) -> MapRows:
        """Attention maps by row."""
        return self._get("probs")  # pyright: ignore[reportReturnType]

    def pairs(self, source: str, target: str, *, role: str = "*") -> Iterator[tuple[int, int]]:
        """(row of `source`, row of `target`) for each two rows that differ in their branch alone.

        role: the last label of the rows wanted ("cond", "uncond"), or "*".
        """
        index = {path: i for i, path in enumerate(self.roles)}
        for path, i in index.items():
            partner = index.get((source, *path[1:]))
            if path[0] == target and partner is not None and role in ("*", path[-1]):
                yield partner, i

    def rows(self, role: str) -> list[int]:
        """Rows whose last label this is."""
        return [i for i, path in enumerate(self.roles) if path[-1] == role]


Act = Callable[[SiteCall], None]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class AttentionControl:
    """Functions of one attention call, each with the touch that says where and when it is called."""

    acts: tuple[tuple[Touch, Act], ...]

    def __repr__(self) -> str:
        """The touches alone: the functions have no names that say more."""
        return f"AttentionControl({'; '.join(str(touch) for touch, _ in self.acts)})"

    def acts_in(self, steps: int) -> bool:
        """Whether any of its windows holds a step of a walk of so many."""
        return any(touch.acts_in(steps) for touch, _ in self.acts)

    def touching(self, site: Site, progress: float, phase: tuple[str, ...]) -> list[tuple[Touch, Act]]:
        """What is to be called at this site, at this point of the walk, in this phase, and under which touch."""
        return [
            (touch, act)
            for touch, act in self.acts
            if touch.what in phase and touch.during(progress) and touch.at(site)
        ]

    def active(self, site: Site, progress: float, phase: tuple[str, ...]) -> list[Act]:
        """What is to be called at this site, at this point of the walk, in this phase of the call."""
        return [act for _, act in self.touching(site, progress, phase)]
