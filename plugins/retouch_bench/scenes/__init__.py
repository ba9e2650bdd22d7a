"""`retouch bench scenes`: how right edits in space are, beside the exact pictures of what was asked."""
