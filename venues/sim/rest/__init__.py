"""The exchange's HTTP routes, one module per interface."""
