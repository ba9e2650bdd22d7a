"""Who writes and who listens: standard output and error, a plugin's lines, Ctrl-C, last words."""
