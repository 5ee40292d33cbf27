"""Tests of the complete system under simulated faults."""
