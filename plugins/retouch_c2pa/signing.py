"""Sign files, and check what is signed, by the package `c2pa-python`, which is loaded when it is asked for.

It opens no address: neither manifests that lie elsewhere nor authorities of time or of certificates are asked.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from retouch.api.signing import Claim, Credentials, Identity, Unfit, media_type_of, media_types
from retouch_c2pa.identity import algorithm
from retouch_c2pa.manifest import ingredient, manifest

_QUIET: Mapping[str, Any] = {"remote_manifest_fetch": False, "ocsp_fetch": False}
_STATES = {"valid": "valid", "trusted": "trusted"}


class C2pa:
    """The signer."""

    endings = tuple(media_types())

    def check(self, identity: Identity) -> None:
        """Sign one pixel: what holds there holds for all."""
        from PIL import Image

        made = io.BytesIO()
        Image.new("RGB", (1, 1)).save(made, "PNG")
        self.sign(made.getvalue(), ".png", Claim(), identity)

    def sign(self, data: bytes, ending: str, claim: Claim, identity: Identity) -> bytes:
        """The bytes with a manifest among them."""
        c2pa, (certificates, key) = _library(), identity.certificates_and_key()
        info = c2pa.C2paSignerInfo(getattr(c2pa.C2paSigningAlg, algorithm(certificates, key)), certificates, key, None)
        source, mime = _opened(claim), media_types()[ending.lower()]
        try:
            if source:
                with suppress(Exception):  # of a source that the library cannot read, the name will do
                    return _signed(c2pa, data, mime, claim, source, info)
            return _signed(c2pa, data, mime, claim, None, info)
        except Exception as why:  # the library has errors of its own for whatever may be wrong
            what = f"C2PA refuses to sign: {_first_line(why)}"
            mend = "look at the certificate: it has to be for signing content, with its issuer's"
            if "self-signed" in what:
                mend = (
                    "let an authority issue it, which may be one of your own: retouch_c2pa/README.md has the commands"
                )
            raise Unfit(what, mend) from None

    def verdict(self, path: Path, trusted: bytes) -> Credentials | None:
        """What the library says of a file."""
        c2pa = _library()
        with path.open("rb") as file:
            mime = media_type_of(file.read(12))
            if mime is None:
                return None
            file.seek(0)
            try:
                context = c2pa.Context.from_dict(_settings(trusted))
                with c2pa.Reader(mime, file, context=context) as reader:
                    told = json.loads(reader.json())
                    active = told.get("manifests", {}).get(told.get("active_manifest"), {})
                    signed = active.get("signature_info", {})
                    names = [signed.get("common_name"), signed.get("issuer")]
                    state = _STATES.get(str(told.get("validation_state", "")).lower(), "invalid")
                    failures = told.get("validation_results", {}).get("activeManifest", {}).get("failure", ())
                    problems = (
                        tuple(dict.fromkeys(str(each.get("code")) for each in failures)) if state == "invalid" else ()
                    )
                    signer = ", ".join(dict.fromkeys(filter(None, names)))
                    return Credentials(state, signer, problems, active, _sources(active))  # pyright: ignore[reportArgumentType]
            except Exception as why:
                if "ManifestNotFound" in type(why).__name__:
                    return None
                return Credentials("invalid", problems=(_first_line(why),))


def _sources(manifest: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """What was wrong with the credentials of its ingredients, and of theirs, when it was signed."""
    found: dict[str, tuple[str, ...]] = {}
    for each in manifest.get("ingredients", ()):
        results = each.get("validation_results", {})
        parts = [results.get("activeManifest", {})]
        parts += [delta.get("validationDeltas", {}) for delta in results.get("ingredientDeltas", ())]
        codes = [str(failure.get("code")) for part in parts for failure in part.get("failure", ())]
        # By then nobody had said whom he trusts.
        if wrong := tuple(dict.fromkeys(code for code in codes if code != "signingCredential.untrusted")):
            found[str(each.get("title"))] = wrong
    return found


def _signed(c2pa: Any, data: bytes, mime: str, claim: Claim, source: tuple[str, bytes] | None, info: Any) -> bytes:
    """The library's own work.  source: of which its credentials are taken over, its kind and bytes."""
    told, out = manifest(claim, mime), io.BytesIO()
    if claim.source and source is None:
        told["ingredients"] = [ingredient(claim)]
    with c2pa.Builder(json.dumps(told), context=c2pa.Context.from_dict(_settings(b""))) as builder:
        if source:
            kind, of_source = source
            builder.add_ingredient(json.dumps(ingredient(claim)), kind, io.BytesIO(of_source))
        with c2pa.Signer.from_info(info) as signer:
            builder.sign(signer, mime, io.BytesIO(data), out)
    return out.getvalue()


def _opened(claim: Claim) -> tuple[str, bytes] | None:
    """The kind and the bytes of a source that may be told of, with its own credentials; of others nothing is read."""
    if claim.source is None or not claim.source_name:
        return None
    try:
        data = claim.source.read_bytes()
    except OSError:
        return None
    mime = media_type_of(data)
    return (mime, data) if mime else None


def _settings(trusted: bytes) -> dict[str, Any]:
    verify = {**_QUIET, "verify_trust": bool(trusted)}
    told: dict[str, Any] = {"builder": {"thumbnail": {"enabled": False}}, "verify": verify}
    return told | ({"trust": {"user_anchors": trusted.decode("ascii", "replace")}} if trusted else {})


def _library() -> Any:
    for name in ("c2pa", "cryptography"):
        if find_spec(name) is None:
            what = "the package 'c2pa-python' is not installed"
            raise Unfit(what, "pip install 'retouch[c2pa]'", lacking=True)
    try:
        return import_module("c2pa")
    except Exception as why:  # a native library that does not fit this machine
        what = f"the package 'c2pa-python' cannot be loaded: {_first_line(why)}"
        raise Unfit(what, "pip install --force-reinstall 'retouch[c2pa]'", lacking=True) from None


def _first_line(why: Exception) -> str:
    return (str(why).strip().splitlines() or [type(why).__name__])[0]


SIGNER = C2pa()
