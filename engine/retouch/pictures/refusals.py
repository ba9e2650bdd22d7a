"""What to do where the system refuses a file."""

from __future__ import annotations

import errno

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def may_read(why: OSError) -> str:
    """What to do where a file cannot be read."""
    if isinstance(why, PermissionError):
        return "allow yourself to read it, as by chmod u+r"
    return "put it back" if isinstance(why, FileNotFoundError) else "copy it to another disk and name that"


def may_write(why: BaseException) -> str:
    """What to do where a file cannot be written."""
    if isinstance(why, OSError) and why.errno in _FULL:
        return "free some room, or choose another folder"
    if isinstance(why, PermissionError):
        return "allow yourself to write there, as by chmod u+w, or choose another folder"
    return "choose another folder"
