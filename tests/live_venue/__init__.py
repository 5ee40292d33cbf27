"""The venue's side of live trading, against local servers that misbehave as real ones do."""
