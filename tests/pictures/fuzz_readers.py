"""The readers of pictures and stamps under atheris, which is led by what bytes reach.

Options are those of libFuzzer, such as -runs=100000.  It is not installed with the tests: `pip install atheris`.
"""

from __future__ import annotations

import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
READ = (
    *("Image", "ImageFile", "ImageCms", "ImagePalette", "ExifTags", "TiffTags", "BmpImagePlugin", "JpegImagePlugin"),
    *("MpoImagePlugin", "PngImagePlugin", "TiffImagePlugin", "WebPImagePlugin"),
)


def main() -> None:
    """Fuzz until libFuzzer ends it."""
    atheris: Any = import_module("atheris")
    sys.path.insert(0, str(ROOT))
    with atheris.instrument_imports(include=["PIL", "retouch.pictures"]):
        # What they import when they are called would go in unseen.
        for name in READ:
            import_module(f"PIL.{name}")
        for file in sorted((ROOT / "engine" / "retouch" / "pictures").glob("[!_]*.py")):
            import_module(f"retouch.pictures.{file.stem}")
        from tests.pictures.test_pictures_fuzz import repaired, seeds, try_readers
    with tempfile.TemporaryDirectory() as folder:
        path, corpus = Path(folder) / "fuzzed.png", Path(folder) / "corpus"
        corpus.mkdir()
        for place, seed in enumerate(seeds()):
            (corpus / str(place)).write_bytes(seed)

        def once(data: bytes) -> None:
            path.write_bytes(repaired(data))
            try_readers(path)

        atheris.Setup([*sys.argv, str(corpus)], once)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
