"""The promises about limits, exits and the gate, checked at scale: simulated windows, and live trading as processes."""
