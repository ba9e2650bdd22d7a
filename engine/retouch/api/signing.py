"""What signs results, for plugins that add one.  Loads no torch: recipes are checked with it."""

from __future__ import annotations

from retouch.pictures.formats import media_type_of, media_types
from retouch.run.files.signers import Claim, Credentials, Identity, Signer, Unfit

__all__ = ["Claim", "Credentials", "Identity", "Signer", "Unfit", "media_type_of", "media_types"]
