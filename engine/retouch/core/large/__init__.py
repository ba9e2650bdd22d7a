"""Pictures and latents that are larger than the model takes or than memory likes: seen and kept a part at a time."""
