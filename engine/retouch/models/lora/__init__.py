"""LoRA files: read from headers and placed on a model's layers without torch, then evaluated beside them."""
