"""Specifications of the program as a host runs it."""
