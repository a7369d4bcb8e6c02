"""Training code; needs the `train` extra."""
