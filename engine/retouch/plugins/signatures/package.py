"""The modules of one package, found and parsed where a card names a constant of theirs; nothing of them is run."""

from __future__ import annotations

import ast
from pathlib import Path

from retouch.paths import content
from retouch.plugins import trees


class NoModule(Exception):
    """There is no such module in the package, or it cannot be read."""


class Package:
    """What lies beside a module: the code that is installed, changed and digested together with it.

    read: the bytes of each file that was looked into, so that whoever keeps what came of them knows when it is another.
    """

    def __init__(self, path: Path, module: str) -> None:
        self.top, _, _ = module.partition(".")
        depth = module.count(".") + (path.name == "__init__.py")
        self._root = path.parents[depth] if depth < len(path.parents) else path.parent
        self.read: dict[Path, bytes] = {}

    def holds(self, module: str) -> bool:
        """Whether a module is of this package, by its name."""
        return module.partition(".")[0] == self.top

    def names_a_package(self, module: str) -> bool:
        """Whether a module of it holds others, so that one dot in an import of its own is itself."""
        return self._root.joinpath(*module.split("."), "__init__.py").is_file()

    def file(self, module: str) -> Path:
        """Where a module of it lies.  Raises NoModule."""
        place = self._root.joinpath(*module.split("."))
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if path.is_file():
                return path
        raise NoModule(f"there is no module '{module}'")

    def tree(self, module: str) -> ast.Module:
        """The syntax tree of a module of it.  Raises NoModule."""
        path = self.file(module)
        try:
            self.read[path] = text = content(path)
            return trees.module(text, str(path))
        except (OSError, SyntaxError, ValueError) as err:
            raise NoModule(f"'{module}' cannot be read: {err}") from err
