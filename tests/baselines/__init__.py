"""Specifications of the policies that nobody trained."""
