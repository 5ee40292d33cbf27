DROP INDEX IF EXISTS health_events_by_session;
DROP INDEX IF EXISTS trades_by_market;
DROP TABLE IF EXISTS account_samples, asset_samples, status_snapshots;
