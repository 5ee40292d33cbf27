"""Specifications of runtime."""
