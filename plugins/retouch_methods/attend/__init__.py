"""Attention controls."""
