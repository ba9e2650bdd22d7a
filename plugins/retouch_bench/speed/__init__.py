"""How fast the engine is, beside what the card could do at most."""
