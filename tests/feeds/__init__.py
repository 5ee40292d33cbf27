"""Decoders, local book, order flow, streams and REST clients."""
