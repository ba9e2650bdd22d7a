"""Windows: a part of a picture, edited at the model's size and put back."""
