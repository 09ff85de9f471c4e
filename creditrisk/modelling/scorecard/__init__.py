"""The scorecard of weights of evidence: its bins and points, and a query that scores by them."""
