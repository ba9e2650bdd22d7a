"""What lies round an edit."""
