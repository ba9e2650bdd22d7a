"""Learnt things as files, in the key formats that others read."""
