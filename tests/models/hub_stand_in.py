"""A local server that answers as the hub does, for one model at one commit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread


@contextmanager
def serve(folder: Path, name: str, commit: str) -> Iterator[tuple[str, list[str]]]:
    """Its address, and the paths that were asked for."""
    asked: list[str] = []
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    siblings = [{"rfilename": file} for file in files]
    tree = [{"type": "file", "path": file, "size": path.stat().st_size, "oid": "0"} for file, path in files.items()]

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            asked.append(self.path)
            path = self.path.partition("?")[0]
            file = files.get(path.removeprefix(f"/{name}/resolve/{commit}/"))
            if path.startswith(f"/api/models/{name}/tree/{commit}"):
                self.answer(json.dumps(tree).encode())
            elif path.startswith(f"/api/models/{name}"):
                self.answer(json.dumps({"id": name, "sha": commit, "siblings": siblings}).encode())
            elif file is not None:
                self.answer(file.read_bytes())
            else:
                self.send_error(404)

        def answer(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{sha1(body).hexdigest()}"')
            self.send_header("X-Repo-Commit", commit)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
