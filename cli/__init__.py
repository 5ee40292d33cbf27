"""The command line: one file per command or family of commands, and the wiring of the system."""
