"""Polymarket's protocols: the market channel, the settlement price stream, Gamma and the CLOB's public REST."""
