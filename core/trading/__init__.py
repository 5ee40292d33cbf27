"""Orders, fills, fees, positions, PnL, sizing and gate rules: pure functions and small values."""
