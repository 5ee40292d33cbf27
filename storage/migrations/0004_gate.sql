-- What keeps the gate shut across restarts. A row is a hold in force; who set and who lifted one is in health_events.
-- depends: 0003_quarantine

CREATE TABLE IF NOT EXISTS gate (
    scope        text NOT NULL,
    reason       text NOT NULL,
    level        text NOT NULL CHECK (level IN ('reduce-only', 'closed')),
    detail       text NOT NULL DEFAULT '',
    set_by       text NOT NULL DEFAULT '',
    set_at       timestamptz NOT NULL,
    softened_for text[] NOT NULL DEFAULT '{}',
    sequence     bigint NOT NULL,
    PRIMARY KEY (scope, reason)
);
