"""Stable Diffusion 1 and 2: everything of this family."""
