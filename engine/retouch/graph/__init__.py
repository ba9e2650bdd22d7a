"""The product of a check: the graph of work on one picture, its plan, its drawing.  Nothing here loads torch."""
