"""What plugin authors test with: models without weights, and the laws that every stage keeps."""
