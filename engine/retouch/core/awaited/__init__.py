"""What stages wait for: requests, how they are combined, and what the engine hands out."""
