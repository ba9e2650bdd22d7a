"""Pictures that are read and written some rows at a time, so that memory does not grow with them."""

BAND = 500_000  # pixels that are in memory together
