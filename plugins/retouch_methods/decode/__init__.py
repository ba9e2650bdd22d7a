"""Latents to pictures, with the background that they had."""
