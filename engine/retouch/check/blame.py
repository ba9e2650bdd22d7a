"""Whose mistake it is: what every picture of a flow suffers from is the recipe's, all else is its picture's alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable
from dataclasses import replace

from retouch.lang.diagnostics import Diagnostic, Report


def settle(report: Report, groups: Iterable[Collection[str]]) -> None:
    """Hand what all pictures of a group were told alike over to the recipe.

    groups: paths of pictures that go through the same flows; one that stands alone is no exception to anything.
    """
    for group in map(set, groups):
        told: defaultdict[Hashable, set[str]] = defaultdict(set)
        for found in report.own:
            told[_what(found)].update(group.intersection(found.about))
        shared = {what for what, pictures in told.items() if pictures == group}
        for each in [found for found in report.own if _what(found) in shared and group.issuperset(found.about)]:
            report.own.remove(each)
            if (of_all := replace(each, about=())) not in report.seen:
                report.seen.add(of_all)
                report.items.append(of_all)


def refused(report: Report) -> set[str]:
    """The pictures that have errors of their own."""
    return {path for found in report.own if found.severity == "error" for path in found.about}


def of_pictures(report: Report) -> list[Diagnostic]:
    """What is about some pictures alone; what is the same for several of them once."""
    merged: dict[Hashable, Diagnostic] = {}
    for found in report.own:
        before = merged.get(_what(found))
        merged[_what(found)] = replace(before, about=(*before.about, *found.about)) if before else found
    return list(merged.values())


def _what(found: Diagnostic) -> Hashable:
    return found.code, found.span, found.source, found.message
