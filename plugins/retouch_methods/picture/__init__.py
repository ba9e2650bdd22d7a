"""Pictures in and out: open, encode, decode, save."""
