"""Processes of their own that need not import torch and diffusers, which takes four seconds, since they are forked.

One process, the starter, has imported those two and nothing of ours.  What is forked from it has its own pid, streams,
signals, working directory, environment and exit code, and ends as Python ends.  What a cold start does itself is for
`subprocess`: which modules a command loads, `sitecustomize`, encodings.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import IO

RETOUCH = "import runpy; runpy.run_module('retouch', run_name='__main__', alter_sys=True)"
SIZE = 1 << 20  # bytes of one request, all of the environment among them
PATIENCE = 600.0  # seconds after which a process hangs for certain, and is not just one of too many on this machine


def at_last(said: str) -> str:
    """What a command that was stopped says, without the line of those that take longer than a second to end.

    Which they may where others have the processor.
    """
    return "".join(line for line in said.splitlines(keepends=True) if not line.startswith("stopping: "))


class Warm:
    """A process that runs Python code, with what the tests use of `subprocess.Popen`."""

    def __init__(
        self, code: str, *args: object, folder: Path, env: Mapping[str, str] | None = None, stdin: int | None = None
    ) -> None:
        """Start it.  env: beside what this process has.  stdin: a descriptor; nothing to read unless given."""
        request = {"code": code, "args": [*map(str, args)], "folder": str(folder), "env": {**os.environ, **(env or {})}}
        (out, told_out), (err, told_err) = os.pipe(), os.pipe()
        self._ends, ends = socket.socketpair()
        nothing = os.open(os.devnull, os.O_RDONLY)
        theirs = [nothing if stdin is None else stdin, told_out, told_err, ends.fileno()]
        socket.send_fds(_starter(), [json.dumps(request).encode()], theirs)
        for each in (nothing, told_out, told_err):
            os.close(each)
        ends.close()
        self.stdout: IO[str] = os.fdopen(out, encoding="utf-8")
        self.stderr: IO[str] = os.fdopen(err, encoding="utf-8")
        self._told = self._ends.makefile("r")
        self.pid = int(self._told.readline())
        self.returncode: int | None = None

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it, unless it has ended: whoever waits for it has been told by then."""
        self._ends.setblocking(False)
        try:
            ended = bool(self._ends.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            ended = False
        self._ends.setblocking(True)
        if not ended:
            self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code; minus the signal that ended it."""
        if self.returncode is None:
            self._ends.settimeout(timeout)
            self.returncode = int(self._told.readline())
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """All that is left of what it says, and its end."""
        said = dict[str, str]()
        streams = {"out": self.stdout, "err": self.stderr}
        readers = [Thread(target=lambda n=n, s=s: said.update({n: s.read()}), daemon=True) for n, s in streams.items()]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
        return said["out"], said["err"]

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is not None:
            self.kill()
        for stream in (self.stdout, self.stderr):
            stream.close()
        self.wait()
        self._told.close()
        self._ends.close()


@cache
def _starter() -> socket.socket:
    """The process that all are forked from, begun when it is first needed; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for each in (ours, theirs):
        each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SIZE)
    process = subprocess.Popen(
        [sys.executable, __file__, str(theirs.fileno())],
        pass_fds=[theirs.fileno()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _serve(asked: socket.socket) -> None:
    """Fork, for each request, one process that waits, and of it the one that runs; the latter returns from here."""
    gc.disable()
    from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL  # noqa: F401
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel  # noqa: F401

    gc.freeze()  # no page is touched, and so copied, by looking at what all share
    gc.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks how those that wait end
    while True:
        data, given, *_ = socket.recv_fds(asked, SIZE, 4)
        if not data:
            sys.exit()
        if not os.fork():
            asked.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            *streams, ends = given
            if not (pid := os.fork()):
                os.close(ends)
                return _become(json.loads(data), streams)
            for each in streams:
                os.close(each)
            os.write(ends, f"{pid}\n".encode())
            ended = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            os.write(ends, f"{ended}\n".encode())
            os._exit(0)
        for each in given:
            os.close(each)


def _become(request: Mapping[str, object], streams: list[int]) -> None:
    """Take on the place of a process that was started to run this request."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, each in enumerate(streams):
        os.dup2(each, number)
        os.close(each)
    folder, env, args, code = (request[name] for name in ("folder", "env", "args", "code"))
    assert isinstance(folder, str)
    assert isinstance(env, dict)
    assert isinstance(args, list)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[:] = ["-c", *args]
    sys.path[:1] = [folder, *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    sys.path_importer_cache.clear()
    _TO_RUN.append(str(code))


_TO_RUN: list[str] = []

if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
    exec(compile(_TO_RUN.pop(), "<string>", "exec"), {"__name__": "__main__"})
