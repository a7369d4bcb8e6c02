"""Networks, their weights, and what is known about their points."""
