"""Networks, inference and the format of their weights. Learning is added on top of these."""
