"""The part of fusebox without sockets, files or a database: runtime, market and trading rules, messages."""
