"""Applications: checked, as rows of numbers, and made up for examples."""
