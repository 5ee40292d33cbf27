"""What lasts: the embedded PostgreSQL, migrations, the writer, queries and the lease."""
