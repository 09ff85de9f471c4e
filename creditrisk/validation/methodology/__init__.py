"""The checks that a reviewer runs first, each with its figure and its verdict."""
