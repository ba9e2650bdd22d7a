"""The seam inside the network: what controls do at an attention or residual site during one forward pass.

It lies at `scaled_dot_product_attention`, so that the network's own code makes queries, keys and values: norms, rotary
positions, fused projections.  Only modules at whose sites something acts or records are entered at all.

Order at a site: edits of q, k, v in place, the fused kernel, edits of maps, edits of the output, recordings.  Outer
scopes act first.  Rows that nobody writes stay as the fused kernel gave them, bit for bit.

A joint attention, where text and picture attend together, is seen as two sites: the picture's queries over its own
keys ("self") and over the text's ("cross").  The maps of such a block are scaled to sum to one over its own keys, as
stages expect of maps; what is written keeps the share of all attention that the block had.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from retouch.core.attention import Act, SiteCall
from retouch.core.awaited.requests import Group, Scope, all_kept
from retouch.core.declared.touches import Site, Touch
from retouch.core.values import AttentionMaps, Role
from retouch.models.family import Net, Spans
from retouch.models.network.fence import Fence

_INPUTS, _MAPS, _OUTPUT, _FEATURES = ("q", "k", "v", "qk", "kv"), ("probs",), ("out",), ("features",)
_ALL = slice(None)


@dataclass(slots=True)
class ScopeView:
    """One scope of one group in this pass: its rows in the batch, and what it records."""

    scope: Scope
    rows: slice  # of the batch
    roles: list[Role]
    maps: list[AttentionMaps] = field(default_factory=list[AttentionMaps])
    kept: dict[tuple[str, str], Tensor] = field(default_factory=dict)  # [] each, see Reply.kept

    def acts(self, site: Site, phase: tuple[str, ...]) -> list[tuple[Touch, Act]]:
        """What is to be called at this site in this phase of the call, in the order of the controls."""
        progress = self.scope.progress
        return [each for control in self.scope.controls for each in control.touching(site, progress, phase)]

    def call(self, acting: tuple[Touch, Act], site: Site, **tensors: Any) -> None:
        """Let one function of a control act, on what its touch names and on no other.  Raises BrokenTouch."""
        touch, act = acting
        fence = Fence(touch, act, self.roles, tensors)
        act(SiteCall(site, self.roles, self.scope.progress, **fence.given))
        for what, fine in fence.questions():
            self.kept = all_kept(self.kept, {what: fine})

    def records(self, site: Site) -> bool:
        """Whether it keeps maps of this site."""
        return any(touch.at(site) for touch in self.scope.record)


class Pass(NamedTuple):
    """What attention has to mind in one forward pass: groups with their scopes, and the tokens of each row's text."""

    groups: list[tuple[slice, list[ScopeView]]]
    words: list[int]

    @staticmethod
    def of(groups: Sequence[Group]) -> Pass:
        """Lay the groups out in the batch, one after the other."""
        views: list[tuple[slice, list[ScopeView]]] = []
        start = 0
        for group in groups:
            rows = slice(start, start + len(group.rows))
            views.append((rows, [_view(group, scope, start) for scope in group.scopes]))
            start = rows.stop
        return Pass(views, [len(row.prompt.embeds) for group in groups for row in group.rows])

    @property
    def joined(self) -> list[tuple[slice, list[ScopeView]]]:
        """Groups whose rows attention may tell apart; nobody else leaves the fused kernel."""
        return [(rows, views) for rows, views in self.groups if views]

    def acts(self, site: Site, phase: tuple[str, ...]) -> Iterator[tuple[ScopeView, tuple[Touch, Act]]]:
        """Everything that acts at this site in this phase."""
        for _, views in self.joined:
            for view in views:
                for act in view.acts(site, phase):
                    yield view, act

    def minds(self, site: Site) -> bool:
        """Whether anything acts or records at this site."""
        phases = _INPUTS + _MAPS + _OUTPUT + _FEATURES
        return any(view.acts(site, phases) or view.records(site) for _, views in self.joined for view in views)

    def kept(self) -> list[dict[tuple[str, str], Tensor]]:
        """For each group, what is to be known of its controls when the pass is over: of all its scopes at once."""
        return [all_kept(*(view.kept for view in views)) for _, views in self.groups]

    def recorded(self) -> list[tuple[tuple[AttentionMaps, ...], ...]]:
        """For each group, for each scope, a map for each recording."""
        return [tuple(tuple(view.maps) for view in views) for _, views in self.groups]


def _view(group: Group, scope: Scope, start: int) -> ScopeView:
    roles = [role[scope.depth :] for role in group.roles[scope.start : scope.stop]]
    return ScopeView(
        scope, slice(start + scope.start, start + scope.stop), roles, [AttentionMaps()] * len(scope.record)
    )


class Seam:
    """One network's sites, and the modules that they are in."""

    def __init__(self, net: Net, sites: Sequence[Site]) -> None:
        modules = dict(net.module.named_modules())
        if missing := [site.name for site in sites if site.name not in modules]:
            raise ValueError(f"the network has no {missing[0]}, which its table of sites names")
        self._attention: list[tuple[Any, list[Site]]] = []
        for name in dict.fromkeys(site.name for site in sites if site.kind != "resnet"):
            self._attention.append((modules[name], [site for site in sites if site.name == name]))
        self._blocks = [(net.features(modules[site.name]), site) for site in sites if site.kind == "resnet"]

    @contextmanager
    def around(self, now: Pass, spans: Spans | None) -> Iterator[None]:
        """Let controls act in the pass that runs inside."""
        mode = _Interception(now, spans)
        with ExitStack() as hooks:
            for module, sites in self._attention:
                if any(now.minds(site) for site in sites):
                    enter, leave = mode.hooks(sites)
                    hooks.callback(module.register_forward_pre_hook(enter).remove)
                    hooks.callback(module.register_forward_hook(leave).remove)
            for module, site in self._blocks:
                if now.minds(site):
                    hooks.callback(module.register_forward_hook(_features(now, site)).remove)
            with mode:
                yield


def _features(now: Pass, site: Site) -> Any:
    def hook(_module: Any, _inputs: Any, out: Tensor) -> Tensor:
        edited = out.clone()
        for view, act in now.acts(site, _FEATURES):
            view.call(act, site, features=edited[view.rows])
        return edited

    return hook


class _Interception(TorchFunctionMode):
    """Stands in for attention's kernel inside the modules that hooks have marked, in this thread."""

    def __init__(self, now: Pass, spans: Spans | None) -> None:
        super().__init__()
        self.now, self.spans = now, spans
        self._sites: list[Site] = []
        self._attended = False

    def hooks(self, sites: list[Site]) -> tuple[Any, Any]:
        """What is to be called before and after a module of attention."""

        def enter(*_: Any) -> None:
            self._sites, self._attended = sites, False

        def leave(*_: Any) -> None:
            self._sites = []
            if not self._attended:
                raise RuntimeError(
                    f"{sites[0].name} does not attend by torch's scaled_dot_product_attention, so no control can act "
                    "there; leave diffusers' attention backend at 'native'"
                )

        return enter, leave

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.scaled_dot_product_attention and self._sites:
            self._attended = True
            return self._attend(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))

    def _attend(
        self, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None, *more: Any, **how: Any
    ) -> Tensor:
        """Attend as torch's own would, by its names of arguments.  [rows, heads, tokens, dim]"""
        q, k, v = query, key, value
        sites, now = self._sites, self.now
        edits = [(view, act, site) for site in sites for view, act in now.acts(site, _INPUTS)]
        if edits:
            k, v = _for_each_head(k, q), _for_each_head(v, q)
            # Controls write in place, and what was given is the network's own.
            q, k, v = q.clone(), k.clone(), v.clone()
            for view, act, site in edits:
                at, keys = self._where(site)
                rows = view.rows
                view.call(act, site, q=q[rows, :, at], k=k[rows, :, keys], v=v[rows, :, keys])
        out = F.scaled_dot_product_attention(q, k, v, attn_mask, *more, **how)
        # Where nobody asks for maps or for what comes out, torch's own kernel has done, which never holds a map.
        if not any(next(now.acts(site, _MAPS + _OUTPUT), None) or _recorded(now, site) for site in sites):
            return out
        out = out.clone()
        k, v = _for_each_head(k, q), _for_each_head(v, q)
        for rows, views in now.joined:
            mask = attn_mask[rows] if attn_mask is not None and len(attn_mask) == len(q) else attn_mask
            maps = _Maps(q[rows], k[rows], mask, how.get("scale"), self._where(sites[0])[0])
            blocks = {(id(view), site): self._block(maps, site, rows, view) for view in views for site in sites}
            for view in views:
                for site in sites:
                    for act in view.acts(site, _MAPS):
                        view.call(act, site, probs=blocks[id(view), site])
            # Only rows whose maps somebody wrote differ from what torch made of them.
            for i in sorted(maps.written):
                out[rows.start + i, :, maps.queries] = maps[i] @ v[rows.start + i]
            for view in views:
                for site in sites:
                    at, keys = self._where(site)
                    for act in view.acts(site, _OUTPUT):
                        view.call(act, site, v=v[view.rows, :, keys], out=out[view.rows, :, at])
                    _record(site, view, blocks[id(view), site])
        return out

    def _where(self, site: Site) -> tuple[slice, slice]:
        """Queries and keys of this site among the tokens that attend."""
        spans = self.spans
        if spans is None:
            return _ALL, _ALL
        if not site.joint:  # the picture's tokens by themselves, before what fills them up
            own = slice(0, spans.image.stop - spans.image.start)
            return own, own
        return spans.image, spans.image if site.kind == "self" else spans.text

    def _block(self, maps: _Maps, site: Site, rows: slice, view: ScopeView) -> _Block:
        words = self.now.words[rows] if site.joint and site.kind == "cross" else None
        return _Block(maps, self._where(site)[1], words, view.rows.start - rows.start)


def _recorded(now: Pass, site: Site) -> bool:
    return any(view.records(site) for _, views in now.joined for view in views)


def _record(site: Site, view: ScopeView, block: _Block) -> None:
    for n, touch in enumerate(view.scope.record):
        if touch.at(site):
            seen = {role: block[i].mean(0) for i, role in enumerate(view.roles)}
            view.maps[n] = view.maps[n] + AttentionMaps(seen, 1)


def _for_each_head(keys: Tensor, queries: Tensor) -> Tensor:
    """Of grouped-query attention, the keys that each head of the queries reads."""
    groups = queries.shape[1] // keys.shape[1]
    return keys.repeat_interleave(groups, 1) if groups > 1 else keys


class _Maps:
    """Attention probabilities of one group over all keys, a row at a time.  [heads, queries, keys]"""

    def __init__(self, q: Tensor, k: Tensor, mask: Tensor | None, scale: float | None, queries: slice) -> None:
        self.q, self.k, self.mask, self.queries = q, k, mask, queries
        self.scale = q.shape[-1] ** -0.5 if scale is None else scale
        self.rows: dict[int, Tensor] = {}
        self.written: set[int] = set()

    def __getitem__(self, i: int) -> Tensor:
        if i not in self.rows:
            scores = self.q[i, :, self.queries] @ self.k[i].transpose(-1, -2) * self.scale
            if self.mask is not None:
                mask = self.mask[i] if self.mask.ndim == 4 else self.mask
                mask = mask if mask.shape[-2] == 1 else mask[..., self.queries, :]
                scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
            self.rows[i] = scores.softmax(-1)
        return self.rows[i]

    def __setitem__(self, i: int, value: Tensor) -> None:
        self.rows[i] = value
        self.written.add(i)


class _Block:
    """The maps that one scope sees at one site: some of the keys, of rows that begin further down in the group."""

    def __init__(self, maps: _Maps, keys: slice, words: list[int] | None, offset: int) -> None:
        self.maps, self.keys, self.words, self.offset = maps, keys, words, offset

    def _keys(self, i: int) -> slice:
        """A row's own words: in a group, shorter prompts are filled up to the longest."""
        return self.keys if self.words is None else slice(self.keys.start, self.keys.start + self.words[i])

    def __getitem__(self, row: int) -> Tensor:
        i = row + self.offset
        if self.keys == _ALL:
            return self.maps[i]
        block = self.maps[i][..., self._keys(i)]
        return block / block.sum(-1, keepdim=True).clamp_min(torch.finfo(block.dtype).tiny)

    def __setitem__(self, row: int, value: Tensor) -> None:
        i = row + self.offset
        if self.keys == _ALL:
            self.maps[i] = value
            return
        whole, keys = self.maps[i].clone(), self._keys(i)
        whole[..., keys] = value * whole[..., keys].sum(-1, keepdim=True)
        self.maps[i] = whole
