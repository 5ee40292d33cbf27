"""The outside world's protocols: Polymarket, Binance, paper fills, recordings, and the embedded exchange."""
