"""Things seen from many sides."""
