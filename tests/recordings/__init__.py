"""Recorded markets opened as live events."""
