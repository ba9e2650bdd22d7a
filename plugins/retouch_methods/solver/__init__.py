"""Solvers: how a step is taken between two levels."""
