"""One file over a network that breaks: what came is kept, and the next attempt goes on from there.

The hub's own library begins anew in every process; a model of 20 GB needs better.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from retouch.models.hub.choice import Listed
from retouch.models.hub.errors import CannotGet

PART = ".retouch-part"
ATTEMPTS = 5  # in a row of which none brings a byte
WAIT = 1.0  # seconds before the next
_BLOCK = 2**20


def download(url: str, headers: Mapping[str, str], file: Listed, blob: Path, tell: Callable[[int], None]) -> None:
    """Bring a file to `blob`, whole and with the promised digest, or leave a part to go on from.

    tell: is told of bytes as they come; of those that are there already at once, and of those that are taken back.
    """
    from huggingface_hub.utils import WeakFileLock

    blob.parent.mkdir(parents=True, exist_ok=True)
    lock = blob.parents[2] / ".locks" / blob.parents[1].name / f"{blob.name}.lock"  # where the hub's library has them
    lock.parent.mkdir(parents=True, exist_ok=True)
    with WeakFileLock(lock):
        if blob.exists():
            tell(file.size)
            return
        part = blob.with_name(f"{blob.name}{PART}")
        tell(_size(part))
        _fill(url, headers, file, part, tell)
        digest = hashlib.sha256() if file.large else hashlib.sha1(b"blob %d\0" % file.size)
        with part.open("rb") as stored:
            while block := stored.read(_BLOCK):
                digest.update(block)
        # Going on from bytes that are wrong would never come to the right ones.
        if digest.hexdigest() != file.digest:
            part.unlink()
            raise CannotGet(f"'{file.path}' came with other bytes than the hub promises", "try again")
        part.replace(blob)


def _fill(url: str, headers: Mapping[str, str], file: Listed, part: Path, tell: Callable[[int], None]) -> None:
    from huggingface_hub.errors import HfHubHTTPError, HTTPError  # pyright: ignore[reportPrivateImportUsage]

    part.touch()
    left = ATTEMPTS
    while (have := _size(part)) != file.size:
        if have > file.size:
            tell(-have)
            part.write_bytes(b"")
            continue
        try:
            _stream(url, headers, part, tell)
            why = "it ended early"
        except HfHubHTTPError:
            raise
        except HTTPError as error:
            why = str(error) or type(error).__name__
        # Attempts count where nothing came: a slow line that breaks often still gets there.
        left = ATTEMPTS if _size(part) > have else left - 1
        if not left:
            raise CannotGet(
                f"the transfer of '{file.path}' broke at {_size(part):,} of {file.size:,} bytes ({why})",
                "give the same command again; it goes on from there",
            )
        if _size(part) != file.size:
            time.sleep(WAIT)


def _stream(url: str, headers: Mapping[str, str], part: Path, tell: Callable[[int], None]) -> None:
    """Add to the part what comes, from where it ends."""
    from huggingface_hub import constants
    from huggingface_hub.utils import get_session, hf_raise_for_status

    have = _size(part)
    # Compressed on the way, a range would be of other bytes than those that are here.
    asked = {**headers, "Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", url, headers=asked, timeout=timeout, follow_redirects=True) as response:
        again = response.status_code == 416
        if not again:
            hf_raise_for_status(response)
        begins = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
        if have and (again or response.status_code != 206 or not begins):
            tell(-have)  # a server that does not go on begins anew
            part.write_bytes(b"")
            if again or response.status_code == 206:
                return
        with part.open("ab") as to:
            for chunk in response.iter_raw(_BLOCK):
                to.write(chunk)
                tell(len(chunk))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
