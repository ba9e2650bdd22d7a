"""The numeric domain, torch alone: a reader of papers begins here."""
