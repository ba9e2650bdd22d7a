"""What was painted in, made to fit by painting it again."""
