"""What of a window is still to be edited."""
