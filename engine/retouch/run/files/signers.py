"""Who signs results: content credentials, by what a plugin brings, with a certificate that the user names.

The hook `retouch_signers` is read from its source; of the modules that it names one alone is imported, and no torch.
A recipe cannot ask for a signature: it may be a stranger's, and the name beneath would be the user's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from retouch.near import near_path
from retouch.pictures.credentials import contains_credentials
from retouch.pictures.refusals import may_read
from retouch.plugins import announced
from retouch.plugins.importing import imported, surrounded

CERTIFICATE, KEY, TRUST = "RETOUCH_SIGN_CERT", "RETOUCH_SIGN_KEY", "RETOUCH_SIGN_TRUST"
_Made = TypeVar("_Made")
_PEM = "-----BEGIN "
_LARGEST = 256 * 1024  # bytes of a file of certificates
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class Unfit(ValueError):
    """A plain sentence: why nothing can be signed, or checked, and what to do about it.

    lacking: whether what signs is missing or broken, and not something wrong with the certificate or the key.
    """

    def __init__(self, what: str, mend: str, *, lacking: bool = False) -> None:
        super().__init__(what, mend, lacking)
        self.what, self.mend, self.lacking = what, mend, lacking

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True)
class Identity:
    """The certificates, signer's first, and the key, as files of PEM; None where the environment tells them.

    It goes to workers as it is: places alone, never a key.
    """

    certificate: Path | None = None
    key: Path | None = None

    def certificates_and_key(self) -> tuple[bytes, bytes]:
        """Both as PEM.  Raises Unfit."""
        certificate, _ = _pem(self.certificate, CERTIFICATE, "certificate", "--cert")
        key, file = _pem(self.key, KEY, "key", "--key")
        if file and os.name != "nt" and (mode := stat.S_IMODE(file.stat().st_mode)) & _OTHERS:
            what = f"the key '{file.name}' may be used by others: its permissions are {mode:03o}"
            raise Unfit(what, f"chmod 600 {file}, and sign with another key if others could have taken it")
        return certificate, key


@dataclass(frozen=True, slots=True)
class Signing:
    """What a user asks for: who signs, and as whom."""

    signer: str
    identity: Identity = field(default_factory=Identity)


@dataclass(frozen=True, slots=True)
class Claim:
    """What is signed of a file beside its bytes.

    told: what it says of itself; of a file that is to say nothing, nothing.
    trained: whether a trained network had a part in its pixels.
    composite: whether it was put together of several results.
    source: the picture that was edited; None where there is none.
    source_name: what the source may be called; empty where results are not to tell, and then nothing of the source is
        told but that there was one.
    """

    title: str = ""
    told: Mapping[str, str] = field(default_factory=dict[str, str])
    trained: bool = True
    composite: bool = False
    source: Path | None = None
    source_name: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a file's credentials come to.

    state: "trusted" is valid, and by a signer among those that the user trusts; "invalid" is changed since, or broken.
    signer: as the certificate names him.  problems: codes, of an invalid one.  told: what it says, as data.
    sources: by name, the codes of what was wrong with the credentials of the pictures that it was made of, when it was
        signed; those of which nothing was wrong, or that had none, are not named.
    """

    state: Literal["valid", "trusted", "invalid"]
    signer: str = ""
    problems: tuple[str, ...] = ()
    told: Mapping[str, Any] = field(default_factory=dict[str, Any])
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


class Signer(Protocol):
    """What the module of a signer holds.  It is imported by checks, so it loads nothing heavy until it is asked."""

    @property
    def endings(self) -> Collection[str]:
        """Of the files that it can sign."""
        ...

    def check(self, identity: Identity) -> None:
        """Try all that signing needs.  Raises Unfit."""
        ...

    def sign(self, data: bytes, ending: str, claim: Claim, identity: Identity) -> bytes:
        """The bytes of a file of this ending, signed; nothing else in it is changed.  Raises Unfit."""
        ...

    def verdict(self, path: Path, trusted: bytes) -> Credentials | None:
        """What a file's credentials come to, None if it holds none.  trusted: certificates as PEM, or nothing.

        Opens no address.  Raises Unfit.
        """
        ...


@dataclass(frozen=True, slots=True)
class Named:
    """A signer by its name, held to what signers promise: what else it does is told as its plugin's.  A Signer."""

    name: str
    plugin: str
    module: str
    signer: Any
    endings: Collection[str] = ()

    def held(self) -> Named:
        """The same, if it has what signers have.  Raises Unfit."""
        if lacks := [each for each in ("check", "sign", "verdict") if not callable(getattr(self.signer, each, None))]:
            raise self.at_fault(f"it has no {lacks[0]}()")
        found = self._done(lambda: [*self.signer.endings])
        if not found or not all(isinstance(each, str) for each in found):
            raise self.at_fault(f"its endings are {found}")
        return replace(self, endings=found)

    def check(self, identity: Identity) -> None:
        """Try all that signing needs.  Raises Unfit."""
        self._done(lambda: self.signer.check(identity))

    def sign(self, data: bytes, ending: str, claim: Claim, identity: Identity) -> bytes:
        """The bytes of a file of this ending, signed.  Raises Unfit."""
        made: object = self._done(lambda: self.signer.sign(data, ending, claim, identity))
        if not isinstance(made, bytes):
            raise self.at_fault(f"its sign() gives a {type(made).__name__}, and no bytes")
        if not contains_credentials(made):
            raise self.at_fault("what its sign() gives holds no content credentials")
        return made

    def verdict(self, path: Path, trusted: bytes) -> Credentials | None:
        """What a file's credentials come to, None if it holds none.  Raises Unfit."""
        found: object = self._done(lambda: self.signer.verdict(path, trusted))
        if not isinstance(found, Credentials | None):
            raise self.at_fault(f"its verdict() gives a {type(found).__name__}, and no Credentials")
        return found

    def at_fault(self, what: str) -> Unfit:
        """The error that names who breaks the contract."""
        return Unfit(
            f"'{self.name}' of the plugin '{self.plugin}' is at fault: {what}",
            f"report it to {self.plugin}",
            lacking=True,
        )

    def _done(self, call: Callable[[], _Made]) -> _Made:
        try:
            with surrounded(self.module):
                return call()
        except Unfit:
            raise
        except Exception as why:
            # Ctrl-C and SystemExit pass; all else is the plugin's, and is told by its name.
            raise self.at_fault(f"{type(why).__name__}: {why}") from why


def installed() -> dict[str, tuple[str, str]]:
    """Return the plugin and "module:name" of each signer; of two plugins the first keeps a name."""
    found: dict[str, tuple[str, str]] = {}
    for each in announced.everything():
        for name, where in each.signers().items():
            found.setdefault(name, (each.plugin.name, where))
    return found


def named(name: str) -> Named:
    """Import a signer.  Raises Unfit."""
    there = installed()
    if name not in there:
        some = ", ".join(sorted(there))
        raise Unfit(f"no plugin signs by the name of '{name}'", f"there are: {some}" if some else "install one")
    plugin, where = there[name]
    module, _, attribute = where.partition(":")
    try:
        signer: Any = getattr(imported(module), attribute)
    except Exception as why:
        what = f"'{name}' of the plugin '{plugin}' cannot be imported: {type(why).__name__}: {why}"
        raise Unfit(what, "see 'retouch plugins'", lacking=True) from why
    return Named(name, plugin, module, signer).held()


def trusted() -> bytes:
    """The certificates whose signers the user trusts, as PEM; nothing where none are named.  Raises Unfit."""
    return _pem(None, TRUST, "list of trusted certificates", "")[0] if os.environ.get(TRUST) else b""


def _pem(given: Path | None, variable: str, what: str, option: str) -> tuple[bytes, Path | None]:
    """A text of PEM and its file, if it is in one: the one that is given, or what the environment names or holds."""
    said = os.environ.get(variable, "").strip()
    if given is None and said.startswith(_PEM):
        return os.fsencode(said) + b"\n", None
    if given is None and not said:
        raise Unfit(f"no {what} is named", f"write {option} FILE, or let {variable} name the file")
    file = Path(os.path.expanduser(given or said))  # the home of nobody stays as it is written
    mend = f"name a file of PEM with {option}, or in {variable}" if option else f"let {variable} name a file of PEM"
    try:
        if not file.is_file():
            raise Unfit(f"there is no {what} '{file}'", near_path(str(file)) or mend)
        with file.open("rb") as opened:
            text = opened.read(_LARGEST + 1)
    except OSError as why:
        raise Unfit(f"the {what} '{file}' cannot be read: {why.strerror or why}", may_read(why)) from None
    if len(text) > _LARGEST or _PEM.encode() not in text:
        raise Unfit(f"the {what} '{file}' is no PEM", mend)
    return text, file
