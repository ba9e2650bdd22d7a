"""Models in memory, shared by all pictures of a run."""
