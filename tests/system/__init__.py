"""Specifications of system."""
