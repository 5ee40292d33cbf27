"""Specifications of the trading rules."""
