"""Requirements: what a recipe asks of an inversion before the edit is worth its time."""
