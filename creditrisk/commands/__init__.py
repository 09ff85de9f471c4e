"""The commands of ``creditrisk``: the arguments of each, and what it does."""
