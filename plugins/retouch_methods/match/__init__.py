"""What an edit has in common with what it began with."""
