"""The seam inside the network: what controls do at an attention or residual site during one forward pass.

Order at an attention site: edits of q, k, v in place, the fused kernel, edits of maps, edits of the output,
recordings.  Outer scopes act first.  Rows that nobody writes stay as the fused kernel gave them, bit for bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from retouch.core.attention import Act, SiteCall
from retouch.core.requests import Group, Scope
from retouch.core.touches import Site
from retouch.core.values import AttentionMaps, Role

_INPUTS, _MAPS, _OUTPUT, _FEATURES = ("q", "k", "v", "qk", "kv"), ("probs",), ("out",), ("features",)


@dataclass(slots=True)
class ScopeView:
    """One scope of one group in this pass: its rows in the batch, and what it records."""

    scope: Scope
    rows: slice  # of the batch
    roles: list[Role]
    maps: list[AttentionMaps] = field(default_factory=list)

    def acts(self, site: Site, phase: tuple[str, ...]) -> list[Act]:
        progress = self.scope.progress
        return [act for control in self.scope.controls for act in control.active(site, progress, phase)]


@dataclass(slots=True)
class Pass:
    """What attention has to mind in one forward pass: the groups that have scopes."""

    groups: list[tuple[slice, list[ScopeView]]]

    @staticmethod
    def of(groups: Sequence[Group]) -> Pass:
        """Lay the groups out in the batch, one after the other."""
        views: list[tuple[slice, list[ScopeView]]] = []
        start = 0
        for group in groups:
            views.append(
                (slice(start, start + len(group.rows)), [_view(group, scope, start) for scope in group.scopes])
            )
            start += len(group.rows)
        return Pass(views)

    @property
    def joined(self) -> list[tuple[slice, list[ScopeView]]]:
        """Groups whose rows attention may tell apart; nobody else leaves the fused kernel."""
        return [(rows, views) for rows, views in self.groups if views]

    def features(self, site: Site, out: Tensor) -> None:
        """Edits of a residual block's features, in place.  out: [rows, C, h, w]"""
        for _, views in self.joined:
            for view in views:
                for act in view.acts(site, _FEATURES):
                    act(SiteCall(site, view.roles, view.scope.progress, features=out[view.rows]))

    def inputs(self, site: Site, q: Tensor, k: Tensor, v: Tensor) -> None:
        """Edits of queries, keys and values, in place."""
        for _, views in self.joined:
            for view in views:
                for act in view.acts(site, _INPUTS):
                    act(SiteCall(site, view.roles, view.scope.progress, q=q[view.rows], k=k[view.rows], v=v[view.rows]))

    def outputs(self, site: Site, q: Tensor, k: Tensor, v: Tensor, out: Tensor) -> None:
        """Edits of maps and outputs, then recordings, a group at a time, in place of `out`."""
        for rows, views in self.joined:
            maps = _Maps(q[rows], k[rows])
            for view in views:
                offset = view.rows.start - rows.start
                for act in view.acts(site, _MAPS):
                    act(SiteCall(site, view.roles, view.scope.progress, probs=_MapsFrom(maps, offset)))
            for i in sorted(maps.written):
                out[rows.start + i] = maps[i] @ v[rows.start + i]
            for view in views:
                for act in view.acts(site, _OUTPUT):
                    act(SiteCall(site, view.roles, view.scope.progress, v=v[view.rows], out=out[view.rows]))
                self._record(site, view, maps, view.rows.start - rows.start)

    @staticmethod
    def _record(site: Site, view: ScopeView, maps: _Maps, offset: int) -> None:
        for n, touch in enumerate(view.scope.record):
            if touch.at(site):
                seen = {role: maps[offset + i].mean(0) for i, role in enumerate(view.roles)}
                view.maps[n] = view.maps[n] + AttentionMaps(seen, 1)

    def recorded(self) -> list[tuple[tuple[AttentionMaps, ...], ...]]:
        """For each group, for each scope, a map for each recording."""
        return [tuple(tuple(view.maps) for view in views) for _, views in self.groups]


def _view(group: Group, scope: Scope, start: int) -> ScopeView:
    roles = [role[scope.depth :] for role in group.roles[scope.start : scope.stop]]
    return ScopeView(
        scope, slice(start + scope.start, start + scope.stop), roles, [AttentionMaps()] * len(scope.record)
    )


class _Maps:
    """Attention probabilities of one group, a row at a time."""

    def __init__(self, q: Tensor, k: Tensor) -> None:
        self.q, self.k = q, k
        self.rows: dict[int, Tensor] = {}
        self.written: set[int] = set()

    def __getitem__(self, i: int) -> Tensor:
        if i not in self.rows:
            scores = self.q[i] @ self.k[i].transpose(-1, -2) * self.q.shape[-1] ** -0.5
            self.rows[i] = scores.softmax(-1)
        return self.rows[i]

    def __setitem__(self, i: int, value: Tensor) -> None:
        self.rows[i] = value
        self.written.add(i)


class _MapsFrom:
    """The maps of a scope that begins further down in its group."""

    def __init__(self, maps: _Maps, offset: int) -> None:
        self.maps, self.offset = maps, offset

    def __getitem__(self, row: int) -> Tensor:
        return self.maps[row + self.offset]

    def __setitem__(self, row: int, value: Tensor) -> None:
        self.maps[row + self.offset] = value


class SiteProcessor:
    """A diffusers attention processor that lets the present pass act; without scopes it is the fused kernel alone."""

    def __init__(self, site: Site, present: PresentPass) -> None:
        self.site, self.present = site, present

    def __call__(
        self, attn: Any, hidden_states: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any
    ) -> Tensor:
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        projected = (attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context))
        q, k, v = (_heads(attn, rows) for rows in projected)
        wanted = q.dtype
        if attn.upcast_attention:  # SD 2.1: half-precision scores overflow
            q, k, v = q.float(), k.float(), v.float()
        now = self.present.now
        if now is not None:
            now.inputs(self.site, q, k, v)
        out = F.scaled_dot_product_attention(q, k, v)
        if now is not None:
            out = out.clone()
            now.outputs(self.site, q, k, v, out)
        flat = out.to(wanted).transpose(1, 2).flatten(2)
        return attn.to_out[1](attn.to_out[0](flat))


def _heads(attn: Any, rows: Tensor) -> Tensor:
    return rows.unflatten(-1, (attn.heads, -1)).transpose(1, 2)


class PresentPass:
    """The pass that is running, where controls or recordings join any of its rows; None otherwise."""

    def __init__(self) -> None:
        self.now: Pass | None = None

    def hook(self, site: Site) -> Any:
        """A forward hook for the last convolution of a residual block."""

        def features(_module: torch.nn.Module, _inputs: Any, out: Tensor) -> Tensor | None:
            if self.now is None:
                return None
            edited = out.clone()
            self.now.features(site, edited)
            return edited

        return features
