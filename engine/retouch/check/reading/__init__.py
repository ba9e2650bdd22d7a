"""From statements to flows of calls: names, variants, options, edits, files."""
