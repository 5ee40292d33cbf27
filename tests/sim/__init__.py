"""Specifications of the embedded exchange."""
