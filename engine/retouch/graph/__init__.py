"""From a recipe's tree to the graph of work on one picture. Pure: nothing here loads torch or weights."""
