"""The promotion gate: its rules, and what follows from them."""
