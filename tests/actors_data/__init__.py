"""The actors that gather, decide and record, one at a time among neighbours that only listen."""
