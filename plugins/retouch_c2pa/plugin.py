"""Register what signs results."""

from retouch import hookimpl


@hookimpl
def retouch_signers():
    """Register content credentials as C2PA has them."""
    return {"c2pa": "retouch_c2pa.signing:SIGNER"}
