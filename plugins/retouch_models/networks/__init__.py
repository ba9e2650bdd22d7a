"""How each family's network is asked, what its latents are, and what its prompts hold."""
