"""Models in memory, shared by all pictures of a run, and the device that they are on."""
