"""Specifications of the journal and of the files that are replaced whole."""
