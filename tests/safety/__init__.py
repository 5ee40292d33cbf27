"""Tests of the promises about limits, exits and the gate, in the complete system."""
