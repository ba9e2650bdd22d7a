"""`retouch new-plugin`: a distribution that installs, keeps its laws and edits a picture, to be changed from there.

What it writes lies in `retouch/starters`: a module, its tests, pyproject.toml and README.md, under the name `newcomer`.
"""

from __future__ import annotations

import builtins
import keyword
import re
import secrets
import shutil
from argparse import Namespace
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from retouch.cli import DONE, WRONG_COMMAND
from retouch.cli.reporting import Refusal, put, refuse
from retouch.lang.words import RESERVED

STARTERS = Path(__file__).parents[2] / "starters"
# The stage that each kind begins as, and a recipe that uses it.
SPELT: Mapping[str, tuple[str, str]] = {
    "invert": ("invert newcomer", 'invert newcomer "cat"->"dog" strength=0.5'),
    "attend": ("attend newcomer", 'invert ddim "cat"->"dog" | attend newcomer'),
    "guide": ("guide newcomer", 'invert ddim "cat"->"dog" | guide newcomer scale=5'),
    "mask": ("mask newcomer", 'invert ddim "cat"->"dog" | mask newcomer | blend latent'),
    "blend": ("blend newcomer", 'invert ddim "cat"->"dog" | mask box right=50% | blend newcomer'),
    "crop": ("crop newcomer", 'mask box right=50% | crop newcomer | invert ddim "cat"->"dog" | paste'),
    "draw": ("draw newcomer", 'draw newcomer (invert sdedit "cat"->"dog") each=2 | rank change'),
    "tune": ("tune newcomer", 'tune newcomer strength=2 | invert ddim "cat"->"dog"'),
    "solver": ("solver newcomer", 'invert ddim "cat"->"dog" | solver newcomer'),
    "schedule": ("schedule newcomer", 'schedule newcomer | invert ddim "cat"->"dog"'),
    "picture": ("adjust newcomer", 'invert ddim "cat"->"dog" | adjust newcomer amount=2'),
    "measure": ("measure newcomer", 'invert ddim "cat"->"dog" | measure newcomer "figures.csv"'),
    "output": ("save newcomer", 'invert ddim "cat"->"dog" | save newcomer "colours.json"'),
    "distil": ("distil newcomer", 'distil newcomer "cat"->"dog"'),
    "eye": ("eye newcomer", 'invert ddim "cat"->"dog" | eye newcomer | guide structure'),
    "bench": ("retouch bench newcomer", 'invert ddim "cat"->"dog"'),
    "family": ("models of the class NewcomerPipeline", 'model "path/to/model"\ninvert ddim "cat"->"dog"'),
}
KINDS = tuple(SPELT)
_RUN = "retouch run -e 'RECIPE' cat.png --caption \"a cat\""  # as README.md has it


def main(args: Namespace) -> int:
    """Write a distribution, whole or not at all; exit 2 where its name or its folder cannot be."""
    folder = args.folder or Path(f"retouch-{args.name}")
    try:
        _check_name(args.name, args.kind)
        _check_folder(folder)
        _write(starter(args.name, args.kind), folder)
    except Refusal as why:
        return refuse(args, WRONG_COMMAND, str(why), why.code, why.mend)
    except OSError as err:
        return refuse(args, WRONG_COMMAND, f"'{folder}' cannot be written: {err.strerror or err}")
    files = sorted(path.name for path in folder.iterdir())
    if args.json:
        put({"ok": True, "folder": str(folder), "files": files})
    else:
        print(f"{folder}: {', '.join(files)}")
        print(
            f"next: pip install -e '{folder}[test]', then pytest '{folder}'; change retouch_{args.name}.py from there"
        )
    return DONE


def starter(name: str, kind: str) -> dict[str, str]:
    """The files of a new distribution, by name."""
    spelt, recipe = SPELT[kind]
    sources = [*(STARTERS / kind).glob("*.py"), STARTERS / "pyproject.toml", STARTERS / "README.md"]
    texts = {path.name: path.read_text("utf-8") for path in sources}
    command = "retouch bench newcomer 'RECIPE' cat.png" if kind == "bench" else _RUN
    texts["README.md"] = texts["README.md"].replace(_RUN, command).replace("SPELT", spelt).replace("RECIPE", recipe)
    return {_named(file, name): _named(text, name) for file, text in texts.items()}


def _named(text: str, name: str) -> str:
    camel = "".join(part.capitalize() for part in name.split("_"))
    return text.replace("newcomer", name).replace("Newcomer", camel)


def _check_name(name: str, kind: str) -> None:
    """Raises Refusal where this cannot be the name of a plugin and of what it brings, or is that of another."""
    from retouch.plugins import discovery, registry
    from retouch.plugins.announced import everything

    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", name):
        words = re.findall(r"[a-z]+|[0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())
        guess = "_".join(words).lstrip("0123456789_")
        mend = f"write '{guess}'" if guess else "write a word, such as 'softbox'"
        raise Refusal.of("RT920", name=name, what="it is small letters, digits and single _", mend=mend)
    if name.startswith("retouch_"):
        said = f"'retouch_' is put before it; write '{name.removeprefix('retouch_')}'"
        raise Refusal.of("RT920", name=name, what="it says 'retouch_' already", mend=said)
    if keyword.iskeyword(name) or keyword.issoftkeyword(name) or name in RESERVED:
        raise Refusal.of("RT920", name=name, what="it is a word of Python or of recipes", mend="choose another name")
    # Strings and comments are not the starter's code; a name that stands in it would come to mean two things.
    texts = [path.read_text("utf-8") for path in (STARTERS / kind).glob("*.py")]
    code = "\n".join(re.sub(r'"""[\s\S]*?"""|"[^"\n]*"|\'[^\'\n]*\'|#.*', "", text) for text in texts)
    if name in re.findall(r"\w+", code) or hasattr(builtins, name):
        what = f"it has a meaning in the module that '{kind}' begins with"
        raise Refusal.of("RT920", name=name, what=what, mend="choose another name")
    stage = SPELT[kind][0].replace("newcomer", name)
    if any(plugin.name == name for plugin in discovery.installed()):
        raise Refusal.of("RT921", name=name, what=f"a plugin '{name}'", mend="retouch plugins")
    if find_spec(f"retouch_{name}") is not None:
        raise Refusal.of(
            "RT921", name=name, what=f"a module 'retouch_{name}'", mend="pip uninstall it, or another name"
        )
    if kind == "bench" and any(name in found.benches() for found in everything()):
        raise Refusal.of("RT921", name=name, what=f"a benchmark '{name}'", mend="retouch bench")
    family, _, method = stage.partition(" ")
    if registry.load().candidates(family, method):
        raise Refusal.of("RT921", name=name, what=f"a stage '{stage}'", mend=f"retouch stages {stage}")


def _check_folder(folder: Path) -> None:
    """Raises Refusal where a folder has something in it, or is none."""
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists() or folder.is_symlink():
        what = "has files in it" if folder.is_dir() else "is a file"
        raise Refusal.of("RT922", folder=folder, what=what)
    if not folder.parent.is_dir():
        raise Refusal.of("RT922", folder=folder, what=f"is in '{folder.parent}', and there is no such folder")


def _write(files: Mapping[str, str], folder: Path) -> None:
    """Write beside, then rename: whoever looks sees all of it or nothing."""
    part = folder.with_name(f".{folder.name[:64]}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir()
        for name, text in files.items():
            (part / name).write_text(text, encoding="utf-8", newline="\n")
        if folder.is_dir():
            folder.rmdir()  # it is empty; elsewhere than on POSIX no folder takes another's place
        part.rename(folder)
    except BaseException:  # Ctrl-C too
        shutil.rmtree(part, ignore_errors=True)
        raise
