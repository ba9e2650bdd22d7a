"""Training of every part of the embedded model: `python -m retouch_storybook.train PART`."""
