"""Live trading as processes: the program, a real PostgreSQL, and the exchange that fights back."""
