"""Storybook, the embedded model: a drawn world, and a small diffusion model that was trained on it."""
