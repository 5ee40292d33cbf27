"""Specifications of the documents."""
