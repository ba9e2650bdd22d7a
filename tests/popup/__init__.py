"""The drawn world in space."""
