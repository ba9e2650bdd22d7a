"""Where numbers are and what they keep: copies to a device, precision, the same bits again."""
