"""What the review found: of the evidence as a whole, and of fairness."""
