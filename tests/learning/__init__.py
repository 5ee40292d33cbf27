"""Specifications of learning: trajectories, advantages, gradients, updates and what survives a restart."""
