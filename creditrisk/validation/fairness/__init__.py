"""Fairness: what a model does to the groups that the contract calls protected."""
