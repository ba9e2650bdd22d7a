"""Training of the generator and of its encoder: `python -m retouch_gan.train PART`."""
