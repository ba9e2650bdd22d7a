"""Benchmarks with exact answers, on the drawn world of the embedded model."""
