"""What a model reads of a prompt, told from its vocabularies alone."""
