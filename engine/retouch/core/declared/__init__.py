"""What stages and files declare, as plain data: read by the check, without torch."""
