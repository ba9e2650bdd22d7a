"""A run: from graphs to values to files, many pictures at once."""
