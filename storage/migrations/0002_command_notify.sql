-- A waiting program hears of a new command at once instead of at its next poll.
-- depends: 0001_tables

CREATE OR REPLACE FUNCTION announce_command() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('fusebox_commands', NEW.id::text);
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER commands_announced AFTER INSERT ON commands FOR EACH ROW EXECUTE FUNCTION announce_command();
