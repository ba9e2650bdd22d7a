"""Score distillation on one picture: its latents go down a gradient that the denoiser says, without any walk."""
