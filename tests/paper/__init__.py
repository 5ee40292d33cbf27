"""Specifications of the paper broker."""
