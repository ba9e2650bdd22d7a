"""What the system keeps for the whole process: descriptors, folder, environment, limits, signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from retouch.plugins.surroundings.thing import Thing

try:
    import resource
except ImportError:  # on Windows there are no such limits
    resource = None

_HEARD = ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGPIPE", "SIGCHLD")
_SIGNALS = [getattr(signal, name) for name in _HEARD if hasattr(signal, name)]
_USED = ("AS", "FSIZE", "NOFILE", "STACK", "DATA", "CPU", "NPROC")  # where some end, the system ends the process
_LIMITS = [getattr(resource, f"RLIMIT_{name}") for name in _USED if hasattr(resource, f"RLIMIT_{name}")]
_TIMERS = [getattr(signal, name) for name in ("ITIMER_REAL", "ITIMER_VIRTUAL", "ITIMER_PROF") if hasattr(signal, name)]
_TORCHS = {os.fsencode("TORCHINDUCTOR_CACHE_DIR"), "TORCHINDUCTOR_CACHE_DIR"}  # as bytes where the system has those
_spare: dict[int, tuple[tuple[int, int], int]] = {}  # by descriptor: which file it was, and a copy of it


def _descriptors() -> tuple[tuple[int, int] | None, ...]:
    """Which files standard output and error are."""
    found = tuple(map(_file_of, (1, 2)))
    for number, file in zip((1, 2), found, strict=True):
        if file and number not in _spare:
            _spare[number] = file, os.dup(number)
    return found


def _file_of(descriptor: int) -> tuple[int, int] | None:
    try:
        found = os.fstat(descriptor)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _set_descriptors(before: tuple[tuple[int, int] | None, ...]) -> None:
    for number, file in zip((1, 2), before, strict=True):
        known, copy = _spare.get(number, (None, -1))
        if file and file == known:
            os.dup2(copy, number)


def _here() -> str:
    try:
        return os.getcwd()
    except OSError:  # someone has removed it
        return ""


def _environment() -> dict[Any, Any]:
    return dict(getattr(os.environ, "_data", os.environ))  # undecoded, which is faster by far


def _same_environment(before: dict[Any, Any], now: dict[Any, Any]) -> bool:
    """A name that torch gives itself, the first time that whoever needs its compiler is imported, is no change."""
    return before == now or before == {name: now[name] for name in now if name in before or name not in _TORCHS}


def _set_environment(before: dict[Any, Any]) -> None:
    os.environ.clear()
    os.environ.update({os.fsdecode(name): os.fsdecode(value) for name, value in before.items()})


def _limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(each) for each in _LIMITS] if resource else []


def _set_limits(before: list[tuple[int, int]]) -> None:
    for limit, (soft, _) in zip(_LIMITS, before, strict=True):
        assert resource
        most = resource.getrlimit(limit)[1]  # who lowers that has lowered it for good
        resource.setrlimit(limit, (soft if most == resource.RLIM_INFINITY else min(soft, most), most))


def _mask() -> int:
    os.umask(mask := os.umask(0o77))
    return mask


def _handlers() -> list[Any]:
    return [signal.getsignal(each) for each in _SIGNALS]


def _set_handlers(before: list[Any]) -> None:
    for each, handler in zip(_SIGNALS, before, strict=True):
        if handler is not None:  # which stands for one that Python has not set
            signal.signal(each, handler)


def _rings() -> list[bool]:
    return [signal.getitimer(each)[0] > 0 for each in _TIMERS]


def _set_timers(before: list[bool]) -> None:
    for each, rang in zip(_TIMERS, before, strict=True):
        if not rang:
            signal.setitimer(each, 0)


def _blocked() -> set[Any]:
    return set(signal.pthread_sigmask(signal.SIG_BLOCK, ())) if hasattr(signal, "pthread_sigmask") else set()


def _set_blocked(before: set[Any]) -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _waker() -> int:
    """The descriptor that is written to at each signal; there is no other way to read it than to set it."""
    found = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(found, warn_on_full_buffer=False)
    return found


def _set_waker(before: int) -> None:
    signal.set_wakeup_fd(before, warn_on_full_buffer=False)


OF_SYSTEM: Mapping[str, Thing] = {
    "where the descriptors 1 and 2 lead": Thing(_descriptors, _set_descriptors),
    "the folder that the process is in": Thing(_here, lambda before: os.chdir(before) if before else None),
    "the environment": Thing(_environment, _set_environment, _same_environment),
    "what the process may use": Thing(_limits, _set_limits),
    "who may read new files": Thing(_mask, os.umask),
}
# Python hears of signals, and sets what is to be heard, in one thread alone.
OF_MAIN_THREAD: Mapping[str, Thing] = {
    "the handler of Ctrl-C or of another signal": Thing(_handlers, _set_handlers),
    "a timer, which would end the process": Thing(_rings, _set_timers),
    "which signals are heard": Thing(_blocked, _set_blocked),
    "who is woken by a signal": Thing(_waker, _set_waker),
}
