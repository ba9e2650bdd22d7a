"""One thing of the process that a plugin may change: how it is read, and put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple


class Thing(NamedTuple):
    """read: what it is now; restore: makes it so again; same: whether two readings are alike."""

    read: Callable[[], Any]
    restore: Callable[[Any], object]
    same: Callable[[Any, Any], bool] = lambda a, b: a == b


def identical(a: Iterable[Any], b: Iterable[Any]) -> bool:
    """Whether both hold the very same objects in the same order; for what may have a costly or odd equality."""
    return [*map(id, a)] == [*map(id, b)]


def names(*spaces: Any, only: Iterable[str] = ()) -> Thing:
    """What the names of modules and classes stand for.

    What is added is no change, since libraries add when they are loaded; unless it hides what a class inherits.

    only: the names that count; all by default.
    """
    chosen = tuple(only)

    def read() -> list[dict[str, Any]]:
        if chosen:
            return [{name: vars(space).get(name) for name in chosen} for space in spaces]
        return [vars(space).copy() for space in spaces]

    def same(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> bool:
        return all(
            _alike(a, b) or not [*_changed(a, b, space)] for a, b, space in zip(before, now, spaces, strict=True)
        )

    def restore(before: list[dict[str, Any]]) -> None:
        for space, known in zip(spaces, before, strict=True):
            for name in [*_changed(known, vars(space), space)]:
                setattr(space, name, known[name]) if name in known else delattr(space, name)

    return Thing(read, restore, same)


def _alike(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether nothing at all has changed, asked in the fastest way: what is the same object is not asked."""
    try:
        return before == now
    except Exception:  # of values that cannot be compared
        return False


def _changed(before: Mapping[str, Any], now: Mapping[str, Any], space: Any) -> Iterable[str]:
    changed = (name for name, value in before.items() if now.get(name, _GONE) is not value)
    yield from (name for name in changed if name != "__doc__")  # an example is added when a name is first asked for
    inherited = getattr(space, "__mro__", ())[1:]
    yield from (name for name in now.keys() - before.keys() if any(name in vars(base) for base in inherited))


_GONE = object()
