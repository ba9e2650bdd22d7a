"""Weights that a stage learns: values beside the model, which is never written to."""
