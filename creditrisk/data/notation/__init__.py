"""How numbers and dates are written in files."""
