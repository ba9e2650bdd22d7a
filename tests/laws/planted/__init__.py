"""Stages with a fault each, as authors make them, parted by what of a stage is at fault."""
