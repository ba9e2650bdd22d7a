"""What this Python and this machine have for `make gpu`, as a line of JSON; asked in a process of its own.

Whatever is wrong with torch or the driver ends that process, or is told by it, and no context of the card is left open
beside the parts.  Runs on any Python 3.
"""

import json
import shutil
import sys
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path


def main(wanted):
    """Print it.  wanted: distributions that have to be installed."""
    said = {"python": sys.version.split()[0], "lacks": [name for name in wanted if not _has(name)]}
    said["card here"] = bool(list(Path("/dev").glob("nvidia[0-9]*")))
    try:
        import torch

        said["torch"] = torch.__version__
        if torch.cuda.is_available():
            said["card"] = torch.cuda.get_device_name()
            ones = torch.ones(64, 64, device="cuda")
            assert float((ones @ ones).sum()) == 64**3
            said["capability"] = "{}.{}".format(*torch.cuda.get_device_capability())
            said["cuda"], said["cudnn"] = torch.version.cuda, torch.backends.cudnn.version()
            said["triton"] = version("triton") if find_spec("triton") else None
            said["compiler"] = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    except Exception as why:
        said["why"] = "{}: {}".format(type(why).__name__, str(why).strip().split("\n")[0])
    print(json.dumps(said))


def _has(name):
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


if __name__ == "__main__":
    main(sys.argv[1:])
