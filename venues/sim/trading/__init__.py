"""The venue's trading engine: pure, single-threaded, and deterministic given the seed and the calls."""
