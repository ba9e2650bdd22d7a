"""Networks that look at pictures, named in a recipe: what guidance, tuning and measures see with."""
