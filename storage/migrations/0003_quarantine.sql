-- A checkpoint from which its actor cannot start stays where it is, with the reason, and is passed over.
-- depends: 0002_command_notify

ALTER TABLE checkpoints ADD COLUMN IF NOT EXISTS quarantined_at timestamptz;
ALTER TABLE checkpoints ADD COLUMN IF NOT EXISTS quarantine_reason text;

-- A file that an operator hands to the running process, which may be on another host.
CREATE TABLE IF NOT EXISTS checkpoint_uploads (
    id             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind           text NOT NULL CHECK (kind IN ('actor', 'model')),
    schema_version integer NOT NULL,
    payload        bytea NOT NULL,
    uploaded_at    timestamptz NOT NULL DEFAULT now()
);
