"""Pictures larger than the model: a flow for one part after the other, put together again."""
