"""What plugins may rely on stands in a file, so that a change of it shows in the diff."""

from __future__ import annotations

import inspect
import pkgutil
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType

from retouch import api

LISTED = Path(__file__).parents[1] / "api.txt"


def surface() -> list[str]:
    """Every public name by module, with its signature and the members of its classes, those of our own bases too."""
    found = pkgutil.iter_modules(api.__path__, f"{api.__name__}.")
    submodules = sorted(each.name for each in found if not each.name.rpartition(".")[2].startswith("_"))
    modules = [api, *map(import_module, submodules)]
    return [line for module in modules for line in (f"# {module.__name__}", *names(module))]


def names(module: ModuleType) -> list[str]:
    lines: list[str] = []
    for name in sorted(module.__all__):
        value = getattr(module, name)
        lines.append(f"{name}{signature(value)}")
        if inspect.isclass(value):
            ours = [base for base in reversed(value.__mro__) if base.__module__.startswith("retouch")]
            members = {member: what for base in ours for member, what in vars(base).items()}
            for member, what in sorted(members.items()):
                if not member.startswith("_") and (callable(what) or isinstance(what, property | staticmethod)):
                    plain = what.__func__ if isinstance(what, staticmethod) else what
                    lines.append(f"    .{member}{'' if isinstance(what, property) else signature(plain)}")
    return lines


def signature(value: object) -> str:
    if not callable(value):
        return ""
    try:
        whole = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    public = whole.replace(parameters=[each for each in whole.parameters.values() if not each.name.startswith("_")])
    text = re.sub(r"ForwardRef\(('[^']*')[^)]*\)", r"\1", str(public))
    return re.sub(r"<function (\w+) at 0x\w+>", r"\1", text)


def test_the_api_is_as_listed():
    """After a change that is meant: `python tests/plugins/test_api.py`, and a line in CHANGELOG.md."""
    assert surface() == LISTED.read_text().splitlines()


if __name__ == "__main__":
    LISTED.write_text("\n".join(surface()) + "\n")
