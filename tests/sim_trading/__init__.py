"""Specifications of the embedded exchange's trading engine."""
