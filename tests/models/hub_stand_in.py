"""A local server that answers as the hub does, for one model; it can cut transfers, and refuse like the hub."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

LARGE = 10_000  # bytes from which a file lies in large-file storage
COMMIT = "0123456789abcdef" * 2 + "01234567"


@dataclass
class Hub:
    """What the server does, changed while it runs, and what it was asked.

    cut: bytes of one answer after which the connection breaks, for files in large-file storage.
    ranges: whether it goes on from the middle when asked to.
    refuses: an error code of the hub for all files, such as "GatedRepo".
    spoils: whether contents differ from the digests that are promised.
    """

    folder: Path
    name: str = "owner/tiny"
    commit: str = COMMIT
    cut: int | None = None
    ranges: bool = True
    refuses: str = ""
    spoils: bool = False
    licence: str | None = "openrail"
    gated: bool = False
    asked: list[str] = field(default_factory=list[str])
    sent: int = 0  # bytes of contents
    endpoint: str = ""

    @property
    def files(self) -> dict[str, Path]:
        """By their paths in the repository."""
        return {path.relative_to(self.folder).as_posix(): path for path in self.folder.rglob("*") if path.is_file()}

    def info(self) -> dict[str, Any]:
        """What the API says of the model."""
        return {
            "id": self.name,
            "sha": self.commit,
            "gated": "auto" if self.gated else False,
            "cardData": {"license": self.licence} if self.licence else {},
            "siblings": [_sibling(name, path.read_bytes()) for name, path in self.files.items()],
        }


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    told: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": git_blob(content)}
    if len(content) >= LARGE:
        told["lfs"] = {"sha256": sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return told


def git_blob(content: bytes) -> str:
    """What git calls this content."""
    return sha1(b"blob %d\0" % len(content) + content).hexdigest()


@contextmanager
def serve(folder: Path, **how: Any) -> Iterator[Hub]:
    """The hub, at `endpoint`."""
    hub = Hub(folder, **how)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            hub.asked.append(f"{self.path} {self.headers.get('Range', '')}".rstrip())
            path = self.path.partition("?")[0]
            api = f"/api/models/{hub.name}"
            if path == api or path.startswith(f"{api}/revision/"):
                revision = path.removeprefix(api).removeprefix("/revision/")
                if revision in ("", "main", hub.commit):
                    self.answer(json.dumps(hub.info()).encode())
                else:
                    self.refuse(404, "RevisionNotFound")
            elif file := hub.files.get(path.removeprefix(f"/{hub.name}/resolve/{hub.commit}/")):
                if hub.refuses:
                    self.refuse(403, hub.refuses)
                else:
                    self.give(file.read_bytes())
            else:
                self.refuse(401, "RepoNotFound")

        def refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            self.send_header("X-Error-Code", code)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def give(self, body: bytes) -> None:
            """A file's content, from where the range begins; cut where the hub is told to."""
            first = self.headers.get("Range", "").removeprefix("bytes=").rstrip("-")
            begin = int(first) if first and hub.ranges else 0
            if begin >= len(body) and begin:
                self.send_response(416)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            cut = hub.cut if len(body) >= LARGE else None
            if hub.spoils:
                body = bytes(len(body))
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(body) - begin))
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(body) - 1}/{len(body)}")
            self.end_headers()
            part = body[begin:] if cut is None else body[begin : begin + cut]
            hub.sent += len(part)  # before it goes, since whoever has it all may look at once
            self.wfile.write(part)
            if len(part) < len(body) - begin:
                self.close_connection = True

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=[0.01], daemon=True).start()  # looked at so often for its end
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
