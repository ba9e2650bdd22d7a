"""What signs results, for plugins that add one.  Loads no torch: recipes are checked with it."""

from __future__ import annotations

from retouch.graph.signers import Claim, Credentials, Identity, Signer, Unfit
from retouch.pictures.formats import media_type_of, media_types

__all__ = ["Claim", "Credentials", "Identity", "Signer", "Unfit", "media_type_of", "media_types"]
