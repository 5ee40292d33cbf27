"""Specifications of what happens to what is stored when the program changes."""
