"""Everything that only a GPU can show, as one command: `make gpu`.

It needs the standard library alone to begin with, installs nothing, and uses the Python that runs it: what that Python
lacks, or has in a version that will not do, is unpacked from wheels (`make gpu-wheels`) into a folder that goes when it
ends.  Each part has its time and its own process, so that no part's failure or length takes another's place; what one
leaves of its time goes to those after it, and what it found is written before the next begins.
"""

from __future__ import annotations

import argparse
import json
import os
import re
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
from threading import Thread
from typing import IO, Any, TextIO

ROOT = Path(__file__).parents[2]
MOST_FILES, MOST_BYTES = 8, 16_000_000  # of what is written, so that it can be carried
SHARES = {"tests": 0.17, "speed": 0.23, "families": 0.17, "compiled": 0.18, "training": 0.25}  # of the minutes
REHEARSED = {"tests": 0.35, "speed": 0.15, "families": 0.1, "compiled": 0.2, "training": 0.2}  # on a CPU
PACKED = 4  # of them at most are weights
AROUND_TRAINING = 30  # seconds for the first drawings, the figures and the sheets
GRACE = 10  # seconds that a part has to end after it was told to
PATIENCE = 90  # seconds in which torch is imported and the card answers, for the first time on a cold machine
ASKED_BESIDE = ("torch", "pytest")


@dataclass
class Part:
    """One part: what it runs, how long it may, and what became of it."""

    name: str
    share: float
    seconds: float = 0.0
    outcome: str = "not run"
    took: float = 0.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the parts in order and say what each came to; 0 if all went well."""
    args = _parser().parse_args(argv)
    end = time.monotonic() + 60 * args.minutes
    out: Path = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    for before in (*out.glob("*.json"), *out.glob("*.tar"), *out.glob("*.md")):
        before.unlink()
    with tempfile.TemporaryDirectory() as kept, (out / "log.txt").open("w") as log:
        scratch = Path(kept)
        environment = _environment(scratch, args.wheels)
        found = _found(environment)
        machine = _machine(found)
        print(machine, flush=True)
        log.write(f"{machine}\n{json.dumps(found)}\n")
        if why := _unfit(found):
            (out / "report.md").write_text(f"{machine}\n\nnothing was run: {why}\n")
            print(why)
            return 2
        gpu = "card" in found and not _rehearses()
        environment |= {} if gpu else {"RETOUCH_GPU_REHEARSE": "cpu"}
        shares = SHARES if gpu else REHEARSED
        parts = [Part(name, shares[name]) for name in args.parts]
        for i, part in enumerate(parts):
            left = end - time.monotonic() - GRACE * (len(parts) - i)  # whoever is told to end may take its grace
            part.seconds = max(left * part.share / sum(each.share for each in parts[i:]), 1)
            _run(part, _command(part.name, scratch, out, part.seconds, gpu=gpu), environment, log)
            _carry(scratch / "training", out)
            _gather(out)
            (out / "report.md").write_text(_report(machine, parts, out))
    print((out / "report.md").read_text())
    return int(any(part.outcome != "passed" for part in parts))


def _command(name: str, scratch: Path, out: Path, seconds: float, *, gpu: bool) -> list[str]:
    python = [sys.executable, "-X", "faulthandler"]
    match name:
        case "tests":
            shared = ["-n", "2"] if not gpu and _installed("pytest-xdist") else []
            told = ["-v", "--tb=short", "-m", "gpu", "tests/gpu", "-p", "no:cacheprovider", "--confcutdir", "tests/gpu"]
            told += ["-o", "minversion=7"]  # tests here ask little of it
            hangs = ["-o", f"faulthandler_timeout={max(seconds / 3, 20):.0f}"]  # says where
            return [*python, "-m", "pytest", *told, *hangs, *shared]
        case "speed" | "families" | "compiled":
            only = ["denoiser", "host", "codec", "edits"] if name == "speed" else [name]
            wanted = ["-m", "retouch", "bench", "speed", "--seconds", f"{max(seconds - 2 * GRACE, 20):.0f}"]
            return [*python, *wanted, "--only", *only, "-o", str(out / name)]
        case _:
            minutes = max(0.9 * seconds - AROUND_TRAINING, 6) / 60 if gpu else 0.15
            trainer = ["-m", "retouch_storybook.train.model", "--size", "128", "--minutes", f"{minutes:.2f}"]
            toy = [] if gpu else ["--drawings", "120", "--begin", "60", "--samples", "2", "--held-out", "8"]
            folders = ["--out", str(scratch / "training"), "--work", str(scratch / "work")]
            return [*python, *trainer, "--edits", "0", "--export-on-stop", *toy, *folders]


def _run(part: Part, command: list[str], environment: dict[str, str], log: TextIO) -> None:
    """Run one part, its output to the screen and to the log, and end it when its time is up."""
    began = time.monotonic()
    print(f"\n=== {part.name}, {part.seconds:.0f} s at most", flush=True)
    log.write(f"\n=== {part.name}: {' '.join(command)}\n")
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    # In a thread: whoever has the stream and outlives the part, or never ends, is not waited for.
    reader = Thread(target=_tell, args=(process.stdout, log), daemon=True)
    reader.start()
    try:
        code = process.wait(part.seconds)
        died = f"died of {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
        part.outcome = "passed" if code == 0 else died
    except subprocess.TimeoutExpired:
        part.outcome = "out of time"
        # Ask first, so that what was measured is written; then insist.
        for how, patience in ((signal.SIGINT, GRACE - 2), (signal.SIGKILL, 2)):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(patience)
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # whatever it began
    reader.join(2)
    part.took = time.monotonic() - began


def _tell(lines: IO[str], log: TextIO) -> None:
    with suppress(ValueError):  # a log that was closed meanwhile
        for line in lines:
            print(line, end="", flush=True)
            log.write(line)
            log.flush()


def _environment(scratch: Path, wheels: Path) -> dict[str, str]:
    """The environment of the parts: this checkout, and beside it what the Python lacks."""
    site = scratch / "site"
    site.mkdir()
    for wheel in sorted(wheels.glob("*.whl")):
        name = wheel.name.split("-")[0]
        if _is_for_this(wheel) and not _fits(name):
            with zipfile.ZipFile(wheel) as packed:
                packed.extractall(site)
    if not _installed("retouch"):
        for folder in (ROOT, ROOT / "plugins"):
            _announce(folder, site)
    paths = [str(ROOT / "engine"), str(ROOT / "plugins"), str(site), os.environ.get("PYTHONPATH", "")]
    told = {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTHONUNBUFFERED": "1", "HF_HUB_OFFLINE": "1"}
    told["RETOUCH_CACHE"] = "off"
    # Its own: where a part was ended in the middle of a compilation, half of a library would fail every later one.
    told["TORCHINDUCTOR_CACHE_DIR"] = str(scratch / "compiled")
    return {**os.environ, **told}


def _installed(name: str) -> bool:
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def _is_for_this(wheel: Path) -> bool:
    """Whether this Python can take a wheel, by the tags in its name."""
    *_, python, abi, _ = wheel.stem.split("-")
    return abi in ("none", "abi3") or python == f"cp{sys.version_info[0]}{sys.version_info[1]}"


def _fits(name: str) -> bool:
    """Whether the Python has a package, in a version that Retouch works with."""
    if not _installed(name):
        return False
    wanted = _project(ROOT)["dependencies"]
    asked = next((each for each in wanted if re.split("[<>=]", each)[0].replace("-", "_") == name), "")
    bounds = re.findall(r"(>=|<)([\d.]+)", asked)
    return all((_numbers(version(name)) >= _numbers(bound)) == (how == ">=") for how, bound in bounds)


def _numbers(said: str) -> list[int]:
    return [int(each) for each in re.match(r"\d+(\.\d+)*", said)[0].split(".")]  # pyright: ignore[reportOptionalSubscript]


def _project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())["project"]


def _announce(folder: Path, site: Path) -> None:
    """The metadata of a project of the checkout, as an installation would have it: its entry points are found."""
    project = _project(folder)
    info = site / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.4\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, entries in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")


def _found(environment: dict[str, str]) -> dict[str, Any]:
    """What the parts will find, asked in a process as theirs are; why: what is wrong with torch or with the card."""
    wanted = [*ASKED_BESIDE, *(re.split("[<>=;\\[]", each)[0].strip() for each in _project(ROOT)["dependencies"])]
    command = [sys.executable, str(ROOT / "tests" / "gpu" / "probe.py"), *wanted]
    try:
        asked = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        return {"why": f"torch or the card did not answer in {PATIENCE} s"}
    try:
        return json.loads(asked.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        last = (asked.stderr.strip().splitlines() or [""])[-1]
        return {"why": f"torch ended its process with exit code {asked.returncode} {last}".strip()}


def _rehearses() -> bool:
    return os.environ.get("RETOUCH_GPU_REHEARSE") == "cpu"


def _unfit(found: dict[str, Any]) -> str | None:
    """Why nothing could be measured here, though somebody waits for it, and what to do; None where all is well."""
    if found.get("lacks"):
        return f"{sys.executable} lacks {', '.join(found['lacks'])}: `make gpu-wheels` brings all but torch"
    if why := found.get("why"):
        return f"{why}; a CPU rehearses with RETOUCH_GPU_REHEARSE=cpu" if not _rehearses() else None
    if found.get("card here") and "card" not in found and not _rehearses():
        what = f"there is a card, and torch {found['torch']} of {sys.executable} does not use it"
        return f"{what}: make gpu GPU_PYTHON=python3, of a Python whose torch is for CUDA"
    return None


def _machine(found: dict[str, Any]) -> str:
    """What it runs on."""
    where = found.get("card", "no GPU: a rehearsal, at toy size")
    about = [f"{name} {found[name]}" for name in ("capability", "cuda", "cudnn", "triton", "compiler") if name in found]
    with_what = f"torch {found.get('torch', 'missing')}, Python {sys.version.split()[0]}, {os.cpu_count()} cores"
    return "; ".join([where, with_what, *about])


def _carry(training: Path, out: Path) -> None:
    """Put what training wrote where it can be carried: packed weights as they are, small files in one archive."""
    if not training.is_dir():
        return
    for packed in sorted(training.glob("*.tar"))[:PACKED]:
        shutil.copy2(packed, out / packed.name)
    with tarfile.open(out / "sheets.tar", "w") as archive:
        for file in sorted((*training.glob("*.png"), *training.glob("*.json"))):
            archive.add(file, file.name)


def _gather(out: Path) -> None:
    """All figures in one file, by part; tables are in the log, too."""
    kept = out / "figures.json"
    found: dict[str, object] = json.loads(kept.read_text()) if kept.is_file() else {}
    for figures in sorted(out.glob("*/speed.json")):
        with suppress(ValueError):
            found[figures.parent.name] = json.loads(figures.read_text())
    kept.write_text(json.dumps(found, indent=1) + "\n")
    for folder in {table.parent for table in out.glob("*/speed.*")}:
        shutil.rmtree(folder)


def _report(machine: str, parts: Sequence[Part], out: Path) -> str:
    lines = ["", machine, "", "| part | outcome | seconds | of |", "|---|---|---|---|"]
    figures = json.loads((out / "figures.json").read_text())
    for part in parts:
        failed = json.dumps(figures.get(part.name, {})).count('"failed":')
        part.outcome += f", {failed} of its figures failed" * (failed > 0 and "figures" not in part.outcome)
    lines += [f"| {part.name} | {part.outcome} | {part.took:.0f} | {part.seconds:.0f} |" for part in parts]
    files = [file for file in out.rglob("*") if file.is_file()]
    large = [file.name for file in files if file.stat().st_size > MOST_BYTES]
    if large:
        lines.append(f"\ntoo large to be carried: {', '.join(large)}")
    if len(files) + 1 > MOST_FILES:  # with this report
        lines.append(f"\ntoo many to be carried: {len(files) + 1}")
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
