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
# Of plugins that come with Retouch.  They reserve nothing: recipes may make names of these.  Where a text cannot be
# read, one of them that no recipe made stands for a stage.
OTHERS = (
    *("distil", "draw", "encode", "eye", "fit", "gan", "match", "narrow", "rank", "render", "repaint", "revise"),
    *("schedule", "solver", "surround", "tiles", "upscale", "view"),
)
KEYWORDS = ("retouch", "use", "let", "def", "defaults", "seed")  # a statement may begin with one
RESERVED = (*KEYWORDS, "as", "true", "false")  # each only where it has its meaning; elsewhere they are names
