"""The loop that turns a trajectory into an edited picture."""
