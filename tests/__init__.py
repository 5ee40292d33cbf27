"""Specifications of fusebox, by part."""
