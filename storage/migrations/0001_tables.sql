-- Everything that lasts. Times are timestamptz, money, prices of shares and shares are numeric(20,6).
-- yoyo notes a migration as applied in a transaction after the one that applies it: a process killed in between applies
-- it again, so every statement must be able to run twice.
-- depends:

-- Which database this is: a journal on a local disk belongs to one of them.
CREATE TABLE IF NOT EXISTS identity (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    id       uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO identity DEFAULT VALUES ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS sessions (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    mode       text NOT NULL CHECK (mode IN ('paper', 'live')),
    venue      text NOT NULL,
    started_at timestamptz NOT NULL,
    ended_at   timestamptz,
    status     text NOT NULL CHECK (status IN ('running', 'ended')),
    config     jsonb NOT NULL DEFAULT '{}'
);
-- The last session of a mode at a venue is resumed until a new one is asked for, so only one can be unfinished.
CREATE UNIQUE INDEX IF NOT EXISTS sessions_one_open ON sessions (mode, venue) WHERE ended_at IS NULL;

-- No other table refers to markets: who discovers a market and who trades it write in no particular order.
CREATE TABLE IF NOT EXISTS markets (
    condition_id text PRIMARY KEY,
    asset        text NOT NULL,
    slug         text NOT NULL,
    opens_at     timestamptz NOT NULL,
    closes_at    timestamptz NOT NULL CHECK (closes_at > opens_at),
    strike       double precision,
    winner       text CHECK (winner IN ('UP', 'DOWN')),
    fee_rate     double precision,
    tick_size    numeric(20, 6) NOT NULL
);
CREATE INDEX IF NOT EXISTS markets_by_asset ON markets (asset, opens_at);

CREATE TABLE IF NOT EXISTS intents (
    id           text PRIMARY KEY,
    session_id   bigint NOT NULL REFERENCES sessions,
    asset        text NOT NULL,
    condition_id text NOT NULL,
    side         text NOT NULL CHECK (side IN ('UP', 'DOWN')),
    action       text NOT NULL CHECK (action IN ('OPEN', 'CLOSE')),
    decided_at   timestamptz NOT NULL,
    reason       text NOT NULL,
    lease_epoch  bigint NOT NULL,
    incarnation  bigint NOT NULL,
    action_probs double precision[] NOT NULL,
    features     double precision[] NOT NULL
);
CREATE INDEX IF NOT EXISTS intents_by_session ON intents (session_id, decided_at);
CREATE INDEX IF NOT EXISTS intents_by_market ON intents (condition_id);

-- Deferred references: within one batch an order may come before its intent, a fill before its order.
CREATE TABLE IF NOT EXISTS orders (
    id           text PRIMARY KEY,
    intent_id    text NOT NULL REFERENCES intents DEFERRABLE INITIALLY DEFERRED,
    venue        text NOT NULL,
    order_hash   text,
    order_type   text NOT NULL,
    side         text NOT NULL CHECK (side IN ('BUY', 'SELL')),
    token_id     text NOT NULL,
    price        numeric(20, 6) NOT NULL CHECK (price >= 0),
    shares       numeric(20, 6) NOT NULL CHECK (shares >= 0),
    state        text NOT NULL,
    submitted_at timestamptz,
    closed_at    timestamptz,
    last_error   text
);
-- Never two live orders for one intent: an order is live until it has a time of closing.
CREATE UNIQUE INDEX IF NOT EXISTS orders_one_live_per_intent ON orders (intent_id) WHERE closed_at IS NULL;
CREATE INDEX IF NOT EXISTS orders_by_intent ON orders (intent_id);
CREATE INDEX IF NOT EXISTS orders_by_hash ON orders (venue, order_hash);

CREATE TABLE IF NOT EXISTS fills (
    id         text PRIMARY KEY,
    order_id   text NOT NULL REFERENCES orders DEFERRABLE INITIALLY DEFERRED,
    venue      text NOT NULL,
    trade_id   text NOT NULL,
    order_hash text NOT NULL,
    price      numeric(20, 6) NOT NULL CHECK (price >= 0),
    shares     numeric(20, 6) NOT NULL CHECK (shares >= 0),
    fee_usd    numeric(20, 6) NOT NULL,
    liquidity  text NOT NULL CHECK (liquidity IN ('TAKER', 'MAKER')),
    state      text NOT NULL,
    filled_at  timestamptz NOT NULL,
    UNIQUE (venue, trade_id, order_hash)
);
CREATE INDEX IF NOT EXISTS fills_by_order ON fills (order_id);

CREATE TABLE IF NOT EXISTS positions (
    session_id   bigint NOT NULL REFERENCES sessions,
    asset        text NOT NULL,
    condition_id text NOT NULL,
    side         text NOT NULL CHECK (side IN ('UP', 'DOWN')),
    shares       numeric(20, 6) NOT NULL CHECK (shares > 0),
    cost_usd     numeric(20, 6) NOT NULL,
    opened_at    timestamptz NOT NULL,
    updated_at   timestamptz NOT NULL,
    PRIMARY KEY (session_id, asset, condition_id, side)
);

CREATE TABLE IF NOT EXISTS trades (
    id                 text PRIMARY KEY,
    session_id         bigint NOT NULL REFERENCES sessions,
    asset              text NOT NULL,
    condition_id       text NOT NULL,
    side               text NOT NULL CHECK (side IN ('UP', 'DOWN')),
    opened_at          timestamptz NOT NULL,
    closed_at          timestamptz NOT NULL,
    shares             numeric(20, 6) NOT NULL,
    entry_price        numeric(20, 6) NOT NULL,
    exit_price         numeric(20, 6) NOT NULL,
    fees_usd           numeric(20, 6) NOT NULL,
    pnl_net_usd        numeric(20, 6) NOT NULL,
    exit_reason        text NOT NULL,
    force_closed       boolean NOT NULL,
    force_close_reason text
);
CREATE INDEX IF NOT EXISTS trades_by_session ON trades (session_id, closed_at);

CREATE TABLE IF NOT EXISTS checkpoints (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('actor', 'model')),
    name           text NOT NULL,
    generation     bigint NOT NULL,
    schema_version integer NOT NULL,
    sha256         text NOT NULL CHECK (length(sha256) = 64),
    payload        bytea NOT NULL,
    created_at     timestamptz NOT NULL,
    UNIQUE (kind, name, generation)
);

-- What follows has no name of its own: its content identifies it, so that a second write of the same row adds nothing.
CREATE TABLE IF NOT EXISTS health_events (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id bigint NOT NULL REFERENCES sessions,
    subject    text NOT NULL,
    status     text NOT NULL,
    detail     text NOT NULL,
    at         timestamptz NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS health_events_once ON health_events (session_id, at, subject, status, md5(detail));

CREATE TABLE IF NOT EXISTS alerts (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id bigint NOT NULL REFERENCES sessions,
    kind       text NOT NULL,
    text       text NOT NULL,
    delivery   text NOT NULL,
    at         timestamptz NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS alerts_once ON alerts (session_id, at, kind, md5(text));

CREATE TABLE IF NOT EXISTS metrics (
    session_id bigint NOT NULL REFERENCES sessions,
    name       text NOT NULL,
    value      double precision NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (session_id, name, at)
);

CREATE TABLE IF NOT EXISTS dead_letters (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    session_id   bigint NOT NULL REFERENCES sessions,
    target       text NOT NULL,
    sender       text NOT NULL,
    incarnation  bigint NOT NULL,
    message_type text NOT NULL,
    reason       text NOT NULL,
    at           timestamptz NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS dead_letters_once
    ON dead_letters (session_id, at, target, sender, incarnation, message_type, md5(reason));

CREATE TABLE IF NOT EXISTS commands (
    id              bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    command         text NOT NULL,
    args            jsonb NOT NULL DEFAULT '{}',
    requested_at    timestamptz NOT NULL DEFAULT now(),
    acknowledged_at timestamptz,
    result          jsonb
);
CREATE INDEX IF NOT EXISTS commands_waiting ON commands (id) WHERE acknowledged_at IS NULL;

-- One row: who trades. The epoch grows with every acquisition and never goes back.
CREATE TABLE IF NOT EXISTS lease (
    singleton   boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    epoch       bigint NOT NULL DEFAULT 0,
    host        text,
    pid         integer,
    acquired_at timestamptz,
    released_at timestamptz
);
INSERT INTO lease DEFAULT VALUES ON CONFLICT DO NOTHING;
