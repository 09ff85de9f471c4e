"""A first draft of a contract, from what a loan file itself shows."""
