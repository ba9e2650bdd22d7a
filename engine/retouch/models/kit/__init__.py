"""What families are made of: loading, text encoders, codecs, networks, sites and noise levels."""
