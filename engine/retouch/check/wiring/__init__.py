"""From flows of calls to nodes: turns, settings, what is inserted, which port gets what."""
