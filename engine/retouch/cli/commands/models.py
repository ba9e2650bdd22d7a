"""`retouch models`: which models there are, what a file or folder is, and models of the hub fetched or removed."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from retouch.addresses import is_address, model_instead
from retouch.check.capabilities import capabilities
from retouch.cli import DONE, WRONG_RECIPE, WrongCommand
from retouch.cli.commands import models_get
from retouch.cli.reporting import put, refuse, sized
from retouch.models import catalog
from retouch.models.hub import cache
from retouch.models.hub.uses import ways_in
from retouch.models.recognise import Recognised, look_into
from retouch.paths import is_there
from retouch.plugins import registry


def main(args: Namespace) -> int:
    """List models, look into what is named, or do what the first word says."""
    match args.words:
        case ["get", *ids]:
            return models_get.main(args, ids)
        case ["remove", *ids]:
            return _remove(args, ids)
    if args.family:
        return _families(args)
    if args.variant or args.dry_run:
        raise WrongCommand("--variant and --dry-run go with 'get owner/name'")
    return _look_into(args) if args.words else _list(args)


def _families(args: Namespace) -> int:
    """What each published model of each installed family, or of those named, can do, and which stages it refuses."""
    every = list(capabilities(registry.load()))
    called = [" ".join((each.model, each.family, each.pipeline)).casefold() for each in every]
    for word in args.words:
        if not any(word.casefold() in name for name in called):
            families = ", ".join(dict.fromkeys(each.family for each in every))
            raise WrongCommand(f"no model of an installed family has '{word}' in its name; families are {families}")
    wanted = [word.casefold() for word in args.words] or [""]
    for each, name in zip(every, called, strict=True):
        if not any(word in name for word in wanted):
            continue
        known = each.known
        if args.json:
            facts = {"model": each.model, "family": each.family, "pipeline": each.pipeline, "sites": each.sites}
            told = {"told": dict(known.told), "defaults": dict(known.defaults), "noted": known.noted}
            refused = {stage: {"code": refusal.code, "why": refusal.why} for stage, refusal in each.refused.items()}
            put(facts | {"prediction": known.prediction, "tokens": known.tokens, **told, "refused": refused})
            continue
        said = [f"{count} {kind}" for kind, count in each.sites.items() if count]
        said += [f"{name}={value}" for name, value in known.defaults.items()]
        said += [f"told {name}" for name in known.told]
        print(f"{each.model} ({each.pipeline}): {known.trained_size} pixels, {known.prediction}, {', '.join(said)}")
        for stage, refusal in each.refused.items():
            print(f"    '{stage}' is refused: {refusal.why} ({refusal.code})")
        if known.noted:
            print(f"    {known.noted}")
    return DONE


def _list(args: Namespace) -> int:
    for facts in _all():
        if args.json:
            put(facts)
        elif "broken" in facts:
            print(f"{facts['model']}: {facts['broken']}")
        elif "used" in facts:
            used = ", ".join(facts["used"])
            print(f"{facts['model']}: {sized(facts['bytes'])}, at {facts['revision']}; for {used}")
        elif "revision" in facts:
            print(f"{facts['model']}: {sized(facts['bytes'])}, {facts['size']} pixels, at {facts['revision']}")
        else:
            print(f"{facts['model']}: {facts['size']} pixels, {facts['prediction']}, in {facts['folder']}")
    return DONE


def _all() -> Iterator[dict[str, Any]]:
    """Those that plugins ship, then those of the hub that are here."""
    for name in catalog.names():
        yield _facts(name, name, None)
    for each in cache.kept():
        also = {"revision": each.commit, "bytes": each.bytes, "by_name": each.meant}
        name = each.name if each.meant else f"{each.name}@{each.commit}"
        if each.whole:
            yield _facts(name, each.name, each.commit) | also
        elif used := ways_in(each.folder):  # other programs' networks are none of ours
            yield {"model": name, "used": [way.format(name) for way in used]} | also


def _facts(said: str, name: str, revision: str | None) -> dict[str, Any]:
    try:
        info = catalog.find(name, revision)
    except (catalog.BrokenModel, catalog.UnknownModel) as err:
        return {"model": said, "broken": str(err)}
    facts = {"size": info.trained_size, "largest": info.largest_side, "prediction": info.prediction}
    return {
        "model": said,
        "folder": str(info.folder),
        **facts,
        "tokens": info.tokens,
        "defaults": dict(info.defaults),
        "stages": dict(info.stages),
    }


def _look_into(args: Namespace) -> int:
    """What each file, folder or model is, without loading it."""
    code = DONE
    for word in args.words:
        try:
            seen = look_into(_place(word))
        except catalog.NotFetched as err:
            code = refuse(args, WRONG_RECIPE, str(err), "RT430", err.command)
            continue
        except (catalog.BrokenModel, catalog.UnknownModel) as err:
            code = refuse(args, WRONG_RECIPE, f"'{word}' cannot be used: {err}", "RT416", "name a model, or its files")
            continue
        if args.json:
            put({"ok": True, "path": word, **seen.as_data()})
        else:
            print("\n".join(_told(word, seen)))
    return code


def _place(word: str) -> Path:
    """The file or folder that a word names, or the folder of the model of that name."""
    if word in catalog.names():
        return catalog.find(word).folder
    if is_address(word) and not is_there(Path(word)):
        raise catalog.UnknownModel("it is a web address", model_instead(word))
    if is_there(Path(word)) or not (known := cache.split(word)):
        return Path(word)
    return cache.snapshot(*known)[0]


def _told(word: str, seen: Recognised) -> Iterator[str]:
    yield f"{word}: {seen.what}"
    yield f"  {sized(seen.bytes)}, {seen.numbers:,} numbers in {', '.join(seen.precisions) or 'no tensors'}"
    for name, part in seen.parts.items():
        yield f"  {name}: {sized(part.bytes)}, {', '.join(part.precisions)}"
    yield from (f"  can: {each}" for each in seen.can)
    yield from (f"  cannot: {each}" for each in seen.cannot)
    yield from (f"  note: {each}" for each in seen.notes)


def _remove(args: Namespace, ids: list[str]) -> int:
    if not ids:
        raise WrongCommand("name what to remove: retouch models remove owner/name[@commit]")
    code = DONE
    for text in ids:
        if not (known := cache.split(text)):
            raise WrongCommand(f"'{text}' is no model of the hub, such as owner/name; only those are removed")
        try:
            freed = cache.remove(*known)
        except catalog.NotFetched as err:
            code = refuse(args, WRONG_RECIPE, str(err), "RT430", "see what is here: retouch models")
            continue
        if args.json:
            put({"ok": True, "removed": text, "bytes": freed})
        else:
            print(f"removed {text}: {sized(freed)} became free")
    return code
