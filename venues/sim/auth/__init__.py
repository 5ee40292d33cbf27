"""Who is asking, and did they sign it: API keys, request signatures, order signatures, and the wallets behind a key."""
