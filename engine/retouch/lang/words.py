"""The words that the language itself reserves."""

FAMILIES = (
    "open",
    "model",
    "invert",
    "tune",
    "attend",
    "guide",
    "mask",
    "crop",
    "blend",
    "sample",
    "decode",
    "paste",
    "save",
    "sheet",
    "measure",
    "require",
)
KEYWORDS = ("retouch", "use", "let", "def", "defaults", "seed")  # a statement may begin with one
RESERVED = (*KEYWORDS, "as", "true", "false")  # each only where it has its meaning; elsewhere they are names
