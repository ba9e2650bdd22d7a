"""One run by many workers: what is handed to each, what comes back, and what is done where one dies."""
