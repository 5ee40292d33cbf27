"""Specifications of features, weights and inference."""
