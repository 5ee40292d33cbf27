DROP TABLE IF EXISTS checkpoint_uploads;
ALTER TABLE checkpoints DROP COLUMN IF EXISTS quarantined_at, DROP COLUMN IF EXISTS quarantine_reason;
