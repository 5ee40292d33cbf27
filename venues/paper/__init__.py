"""Paper trading: fills against the public book, with latency, fees and what our own orders have taken."""
