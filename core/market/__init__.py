"""Windows, books, trade flow and features: pure functions and small values."""
