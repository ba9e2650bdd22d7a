"""A stranger's code at work: what surrounds it, what it may hand back, and whose fault a mistake is."""
