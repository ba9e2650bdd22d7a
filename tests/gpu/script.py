"""Everything that only a GPU can show, as one command: `make gpu`.

It needs the standard library alone to begin with, installs nothing, and uses the Python that runs it: what that Python
lacks is unpacked from wheels (`make gpu-wheels`) into a folder that goes when it ends.  Each part has its time and its
own process, so that no part's failure or length takes another's place.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import tomllib
import zipfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST_FILES, MOST_BYTES = 8, 16_000_000  # of what is written, so that it can be carried
SHARES = {"tests": 0.17, "speed": 0.23, "families": 0.17, "compiled": 0.18, "training": 0.25}  # of the minutes
REHEARSED = {"tests": 0.35, "speed": 0.15, "families": 0.1, "compiled": 0.2, "training": 0.2}  # on a CPU
AROUND_TRAINING = 30  # seconds for the first drawings, the figures and the sheets
GRACE = 10  # seconds that a part has to end after it was told to


@dataclass
class Part:
    """One part: what it runs, how long it may, and what became of it."""

    name: str
    command: list[str]
    seconds: float
    outcome: str = "not run"
    took: float = 0.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts in order and say what each came to; 0 if all went well."""
    args = _parser().parse_args(argv)
    out: Path = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    shares = SHARES if _has_gpu() else REHEARSED
    whole = sum(shares[name] for name in args.parts)
    with tempfile.TemporaryDirectory() as kept, (out / "log.txt").open("w") as log:
        scratch = Path(kept)
        environment = _environment(scratch, args.wheels)
        parts = [
            Part(name, _command(name, scratch, out, limit), limit)
            for name in args.parts
            for limit in [60 * args.minutes * shares[name] / whole]
        ]
        print(_machine(environment), flush=True)
        for part in parts:
            _run(part, environment, log)
        _carry(scratch / "training", out)
        for table in out.glob("*/*.md"):  # the log has it, too
            table.unlink()
    report = _report(parts, out)
    (out / "report.md").write_text(report)
    print(report)
    return int(any(part.outcome != "passed" for part in parts))


def _command(name: str, scratch: Path, out: Path, seconds: float) -> list[str]:
    python = [sys.executable, "-X", "faulthandler"]
    match name:
        case "tests":
            shared = ["-n", "2"] if not _has_gpu() and _installed("pytest-xdist") else []
            return [*python, "-m", "pytest", "-q", "-m", "gpu", "tests/gpu", "-p", "no:cacheprovider", *shared]
        case "speed" | "families" | "compiled":
            only = ["denoiser", "host", "codec", "edits"] if name == "speed" else [name]
            wanted = ["-m", "retouch", "bench", "speed", "--seconds", f"{max(seconds - 2 * GRACE, 20):.0f}"]
            return [*python, *wanted, "--only", *only, "-o", str(out / name)]
        case _:
            minutes = max(0.9 * seconds - AROUND_TRAINING, 6) / 60 if _has_gpu() else 0.15
            trainer = ["-m", "retouch_storybook.train.model", "--size", "128", "--minutes", f"{minutes:.2f}"]
            toy = [] if _has_gpu() else ["--drawings", "120", "--begin", "60", "--samples", "2", "--held-out", "8"]
            folders = ["--out", str(scratch / "training"), "--work", str(scratch / "work")]
            return [*python, *trainer, "--edits", "0", "--export-on-stop", *toy, *folders]


def _run(part: Part, environment: dict[str, str], log) -> None:
    """Run one part, its output to the screen and to the log, and end it when its time is up."""
    began = time.monotonic()
    print(f"\n=== {part.name}, {part.seconds:.0f} s at most", flush=True)
    log.write(f"\n=== {part.name}: {' '.join(part.command)}\n")
    process = subprocess.Popen(
        part.command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    signal.signal(signal.SIGALRM, lambda *_: _end(process))
    signal.setitimer(signal.ITIMER_REAL, part.seconds, GRACE)
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
        log.write(line)
        log.flush()
    code = process.wait()
    signal.setitimer(signal.ITIMER_REAL, 0)
    part.took = time.monotonic() - began
    timed_out = part.took >= part.seconds
    part.outcome = "out of time" if timed_out else "passed" if code == 0 else f"failed with exit code {code}"


def _end(process: subprocess.Popen[str]) -> None:
    """Ask first, so that what was measured is written; then insist."""
    insist = getattr(process, "told", False)
    process.told = True  # pyright: ignore[reportAttributeAccessIssue]
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL if insist else signal.SIGINT)


def _environment(scratch: Path, wheels: Path) -> dict[str, str]:
    """The environment of the parts: this checkout, and beside it what the Python lacks."""
    site = scratch / "site"
    site.mkdir()
    for wheel in sorted(wheels.glob("*.whl")):
        name = wheel.name.split("-")[0]
        if not _installed(name):
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(site)
    if not _installed("retouch"):
        _announce(site)
    paths = [str(ROOT / "engine"), str(ROOT / "plugins"), str(site), os.environ.get("PYTHONPATH", "")]
    told = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **told} | ({} if _has_gpu() else {"RETOUCH_GPU_REHEARSE": "cpu"})


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _announce(site: Path) -> None:
    """The metadata of the checkout, as an installation would have it, so that its entry points are found."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = site / f"{project['name']}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()


def _machine(environment: dict[str, str]) -> str:
    """What it runs on."""
    import torch

    where = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: a rehearsal, at toy size"
    return f"{where}; torch {torch.__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} cores"


def _carry(training: Path, out: Path) -> None:
    """Put what training wrote where it can be carried: packed weights as they are, small files in one archive."""
    if not training.is_dir():
        return
    for packed in sorted(training.glob("*.tar"))[: MOST_FILES - 4]:
        shutil.copy2(packed, out / packed.name)
    with tarfile.open(out / "sheets.tar", "w") as archive:
        for file in sorted((*training.glob("*.png"), *training.glob("*.json"))):
            archive.add(file, file.name)


def _report(parts: Sequence[Part], out: Path) -> str:
    lines = ["", "| part | outcome | seconds | of |", "|---|---|---|---|"]
    lines += [f"| {part.name} | {part.outcome} | {part.took:.0f} | {part.seconds:.0f} |" for part in parts]
    large = [file.name for file in out.iterdir() if file.stat().st_size > MOST_BYTES]
    if large:
        lines.append(f"\ntoo large to be carried: {', '.join(large)}")
    return "\n".join(lines) + "\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make gpu", description="Everything that only a GPU can show.")
    default = Path(os.environ.get("OUT") or ROOT / "out" / "gpu")
    parser.add_argument("--out", type=Path, default=default, metavar="DIR", help="out/gpu, or what OUT says")
    parser.add_argument("--wheels", type=Path, default=ROOT / ".gpu", metavar="DIR", help="of `make gpu-wheels`")
    parser.add_argument("--minutes", type=float, default=9.0, metavar="M", help="of all parts together; 9 by default")
    parser.add_argument("--parts", nargs="+", choices=list(SHARES), default=list(SHARES), help="all by default")
    return parser


if __name__ == "__main__":
    sys.exit(main())
