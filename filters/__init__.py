"""Face filters, one folder each, and the engine that draws them."""
