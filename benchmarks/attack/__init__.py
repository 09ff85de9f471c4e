"""Faults that `benchmarks/faults.py` tries on the runner, one module a kind of fault."""
