DROP TRIGGER IF EXISTS commands_announced ON commands;
DROP FUNCTION IF EXISTS announce_command();
