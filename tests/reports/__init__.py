"""Specifications of `report` and `trace`."""
