"""What a command line says about the machine, checked before anything else."""

from __future__ import annotations

from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

from retouch.cli import WrongCommand
from retouch.cli.reporting import Refusal
from retouch.cli.signing import check_signing
from retouch.paths import is_there
from retouch.run.device import best_device, why_not


def check_machine(args: Namespace) -> None:
    """Refuse a device that is not here, and what it does not do.  Loads torch only where another than the CPU is asked.

    Raises WrongCommand.
    """
    check_device(args.device)
    if args.sign or args.cert or args.key:
        check_signing(args)
    if args.ray:
        if find_spec("ray") is None:
            raise Refusal.of("RT925", what="is not installed", mend="pip install 'retouch[ray]'")
        if Path(args.ray).suffix and is_there(Path(args.ray)):
            what = f"would look for a cluster at '{args.ray}'"
            raise Refusal.of("RT925", what=what, mend="write --ray=auto, or put --ray behind the files")
    if args.compile and not (device := args.device or best_device()).startswith("cuda"):
        raise WrongCommand(f"--compile is for cuda, and this would run on {device}; leave it out")
    if args.compile and find_spec("triton") is None:
        raise WrongCommand("--compile needs Triton, which this Python lacks; pip install triton, or leave it out")


def check_device(device: str | None) -> None:
    """Refuse a device that is not here, if one is named.  Raises WrongCommand."""
    if device and (why := why_not(device)):
        raise WrongCommand(f"{why}; leave --device out for the best there is")
