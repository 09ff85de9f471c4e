"""Where files come from: the chain as a graph, and what runs have recorded of its files."""
