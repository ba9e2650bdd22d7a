"""What a command line says about the machine, checked before anything else."""

from __future__ import annotations

import re
from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

from retouch.cli import WrongCommand
from retouch.cli.reporting import Refusal
from retouch.cli.signing import check_signing
from retouch.paths import is_there

_DEVICE = re.compile(r"cpu|mps|cuda(:\d+)?")


def check_machine(args: Namespace) -> None:
    """Refuse a device that is not here, and what it does not do.  Loads torch only where another than the CPU is asked.

    Raises WrongCommand.
    """
    if args.device and not _DEVICE.fullmatch(args.device):
        raise WrongCommand(f"no device is called '{args.device}'; there are cpu, cuda, cuda:1 and so on, and mps")
    if args.device and not is_here(args.device):
        raise WrongCommand(f"this machine has no device '{args.device}'; leave --device out for the best there is")
    if args.sign or args.cert or args.key:
        check_signing(args)
    if args.ray:
        if find_spec("ray") is None:
            raise Refusal.of("RT925", what="is not installed", mend="pip install 'retouch[ray]'")
        if Path(args.ray).suffix and is_there(Path(args.ray)):
            what = f"would look for a cluster at '{args.ray}'"
            raise Refusal.of("RT925", what=what, mend="write --ray=auto, or put --ray behind the files")
    if args.compile and not (device := args.device or _best()).startswith("cuda"):
        raise WrongCommand(f"--compile is for cuda, and this would run on {device}; leave it out")
    if args.compile and find_spec("triton") is None:
        raise WrongCommand("--compile needs Triton, which this Python lacks; pip install triton, or leave it out")


def is_here(device: str) -> bool:
    """Whether this machine has a device, by its name or by what a stamp has in place of one."""
    if device == "cpu" or not _DEVICE.fullmatch(device):
        return device == "cpu"
    import torch

    if device == "mps":
        return torch.backends.mps.is_available()
    return int(device.partition(":")[2] or 0) < torch.cuda.device_count()


def _best() -> str:
    from retouch.run.device import best_device

    return best_device()
