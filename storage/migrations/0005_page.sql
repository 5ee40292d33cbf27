-- What the web page shows of a process that runs: its whole status, and a sample per asset and second for the charts.
-- depends: 0004_gate

-- Nothing refers to sessions here: what the page shows takes no lock that trading's rows may wait for.

-- One row per session, replaced every second: room in the page keeps the new version beside the old one.
CREATE TABLE IF NOT EXISTS status_snapshots (
    session_id bigint PRIMARY KEY,
    at         timestamptz NOT NULL,
    status     json NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE IF NOT EXISTS asset_samples (
    session_id    bigint NOT NULL,
    asset         text NOT NULL,
    at            timestamptz NOT NULL,
    condition_id  text,
    up_price      numeric(20, 6),
    fair_value    double precision,
    spot          double precision,
    strike        double precision,
    probabilities real[],
    side          text CHECK (side IN ('UP', 'DOWN')),
    shares        numeric(20, 6) NOT NULL DEFAULT 0,
    net_usd       numeric(20, 6),
    best_bid      numeric(20, 6),
    best_ask      numeric(20, 6),
    bid_shares    numeric(20, 6),
    ask_shares    numeric(20, 6),
    PRIMARY KEY (session_id, asset, at)
);
CREATE INDEX IF NOT EXISTS asset_samples_by_age ON asset_samples USING brin (at);

CREATE TABLE IF NOT EXISTS account_samples (
    session_id   bigint NOT NULL,
    at           timestamptz NOT NULL,
    cash_usd     numeric(20, 6) NOT NULL,
    equity_usd   numeric(20, 6),
    pnl_net_usd  numeric(20, 6) NOT NULL,
    open_pnl_usd numeric(20, 6),
    PRIMARY KEY (session_id, at)
);
CREATE INDEX IF NOT EXISTS account_samples_by_age ON account_samples USING brin (at);

-- The page's tables and filters: newest first, of one session.
CREATE INDEX IF NOT EXISTS health_events_by_session ON health_events (session_id, at DESC, id DESC);
CREATE INDEX IF NOT EXISTS trades_by_market ON trades (condition_id);
