"""Which of several draws is kept."""
