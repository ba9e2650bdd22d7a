"""`retouch models get owner/name[@commit]`: say what a model of the hub comes to, then fetch it."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from collections.abc import Callable
from types import TracebackType
from typing import Any

from retouch.addresses import is_address, model_instead
from retouch.cli import DONE, WRONG_RECIPE, WrongCommand
from retouch.cli.reporting import put, refuse, sized
from retouch.lang.codes import CODES


def main(args: Namespace, ids: list[str]) -> int:
    """Fetch each; the first that cannot be fetched ends it."""
    from retouch.models.hub.cache import split
    from retouch.models.hub.get import CannotGet, fetch, look

    if not ids:
        raise WrongCommand("name what to fetch: retouch models get owner/name[@commit]")
    for text in ids:
        if not (known := split(text)):
            mend = f"; {model_instead(text)}" if is_address(text) else ", such as owner/name or owner/name@commit"
            raise WrongCommand(f"'{text}' is no id of the hub{mend}")
        try:
            offer = look(*known, args.variant)
            _offered(args, offer)
            if args.dry_run:
                continue
            with _Progress(args, offer.bytes) as progress:
                folder = fetch(offer, progress.came)
        except CannotGet as why:
            said = CODES["RT431"].message.format(name=text, what=why)
            return refuse(args, WRONG_RECIPE, said, "RT431", why.mend)
        use = known[0] if offer.by_name else f"{known[0]}@{offer.commit}"
        if args.json:
            put({"event": "done", "model": use, "revision": offer.commit, "folder": str(folder)})
        else:
            print(f"it lies in {folder}")
            used = ", ".join(way.format(use) for way in offer.ways)
            print(f"use it: {used}{f', or --model {use}' if used.startswith('model ') and 'vae=' not in used else ''}")
    return DONE


def _offered(args: Namespace, offer: Any) -> None:
    facts = {
        "model": offer.name,
        "revision": offer.commit,
        "licence": offer.licence,
        "gated": offer.gated,
        "files": [{"path": file.path, "bytes": file.size} for file in offer.files],
        "bytes": offer.bytes,
        "missing": offer.missing,
        "folder": str(offer.folder),
    }
    if args.json:
        put({"event": "offer", **facts})
        return
    here = "all of it here" if not offer.missing else f"{sized(offer.missing)} to come"
    print(f"{offer.name} at {offer.commit}")
    print(f"licence: {offer.licence}{', with terms that were accepted' if offer.gated else ''}")
    print(f"{len(offer.files)} files, {sized(offer.bytes)}, {here}; to {offer.folder}", flush=True)


class _Progress:
    """A bar on a terminal, a line of JSON a second for programs, silence in a log."""

    def __init__(self, args: Namespace, total: int) -> None:
        self._json, self._total, self._have, self._told = args.json, total, 0, time.monotonic()
        self._bar: Callable[[int], object] = lambda _: None
        self._close: Callable[[], object] = lambda: None
        if not args.json and sys.stderr.isatty():
            from tqdm import tqdm

            bar = tqdm(total=total, unit="B", unit_scale=True, leave=False, dynamic_ncols=True)
            self._bar, self._close = bar.update, bar.close

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, kind: type[BaseException] | None, why: BaseException | None, at: TracebackType | None) -> None:
        self._close()

    def came(self, count: int) -> None:
        """Hear of bytes that came, or were taken back."""
        self._have += count
        self._bar(count)
        if self._json and time.monotonic() - self._told > 1:
            self._told = time.monotonic()
            put({"event": "progress", "bytes": self._have, "of": self._total})
