"""Tuning: other weights in place of the model's own, for what follows in the turn."""
