DROP TABLE IF EXISTS
    lease, commands, dead_letters, metrics, alerts, health_events, checkpoints, trades, positions, fills, orders, intents,
    markets, sessions, identity;
