"""Several draws of what is left to chance, to choose from."""
