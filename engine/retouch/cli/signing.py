"""`--sign`: who signs results and as whom, tried before anything runs; and what signatures in a file come to."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from retouch.cli import WrongCommand
from retouch.cli.reporting import Refusal
from retouch.pictures.credentials import holds_credentials
from retouch.run.files.signers import Credentials, Identity, Signer, Signing, Unfit, installed, named, trusted


def signing(args: Namespace) -> Signing | None:
    """What the command line asks for; None where nothing is to be signed."""
    if not args.sign:
        return None
    certificate, key = (file and Path(os.path.realpath(os.path.expanduser(file))) for file in (args.cert, args.key))
    return Signing(args.sign, Identity(certificate, key))


def signer_of(args: Namespace) -> Signer:
    """Who signs.  Refusal where nobody does by that name."""
    try:
        return named(args.sign)
    except Unfit as why:
        raise _refusal(why, "RT451") from None


def check_signing(args: Namespace) -> None:
    """Refuse what could not be signed in the end, by signing something small.  Raises WrongCommand."""
    asked = signing(args)
    if asked is None:
        raise WrongCommand("--cert and --key are for --sign; write --sign c2pa beside them")
    try:
        signer_of(args).check(asked.identity)
    except Unfit as why:
        raise _refusal(why, "RT451" if why.lacking else "RT452") from None


def _refusal(why: Unfit, code: str) -> Refusal:
    return Refusal.of(code, what=why.what, mend=why.mend)


def credentials_of(image: Path) -> Credentials | str | None:
    """What the credentials in a file come to, why that is not known, or None where there are none."""
    if not holds_credentials(image):
        return None
    unread: list[str] = []
    for name in installed():
        try:
            if found := named(name).verdict(image, trusted()):
                return found
        except Unfit as why:  # another may read them
            unread.append(f"{why.what}; {why.mend}")
    return unread[0] if unread else "there is nothing that reads them"
