"""From a syntax tree to a graph, and everything that is wrong with it, at once."""
