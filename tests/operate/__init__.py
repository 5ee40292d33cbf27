"""Specifications of operator control: commands for a running process, checkpoints, status, signs of life."""
