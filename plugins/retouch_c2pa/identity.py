"""A user's certificate and key, looked at before anything is signed: one kind, one pair, valid today."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from retouch.api.signing import Unfit

_CURVES = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
_RSA_BITS = 2048  # the fewest that the specification takes


def algorithm(certificates: bytes, key: bytes) -> str:
    """The name of the algorithm that this key signs by.  Raises Unfit."""
    x509: Any = import_module("cryptography.x509")
    serialization: Any = import_module("cryptography.hazmat.primitives.serialization")
    mend = "name the certificate of this key with --cert, signer's first, and the key without a password"
    try:
        first, *_ = x509.load_pem_x509_certificates(certificates)
        secret = serialization.load_pem_private_key(key, None)
    except Exception as why:  # ValueError, TypeError of an encrypted one, UnsupportedAlgorithm ...
        raise Unfit(f"the certificate or its key cannot be read: {str(why).splitlines()[0]}", mend) from None
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    if first.public_key().public_bytes(*form) != secret.public_key().public_bytes(*form):
        raise Unfit("the key is not the one of the first certificate", mend)
    if not first.not_valid_before_utc <= datetime.now(UTC) <= first.not_valid_after_utc:
        dates = f"{first.not_valid_before_utc:%Y-%m-%d} to {first.not_valid_after_utc:%Y-%m-%d}"
        raise Unfit(f"the certificate is valid from {dates}, and not today", "name one that is valid, with --cert")
    kind = type(secret).__name__.lower()
    curve = getattr(getattr(secret, "curve", None), "name", "")
    if curve in _CURVES:
        return _CURVES[curve]
    if "ed25519" in kind:
        return "ED25519"
    if "rsa" in kind and secret.key_size >= _RSA_BITS:
        return "PS256"
    mend = "take a key of the curve P-256, P-384 or P-521, of Ed25519, or of RSA with 2,048 bits or more"
    raise Unfit("C2PA signs with no such key", mend)
