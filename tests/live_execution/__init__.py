"""Live execution against the embedded exchange's engine, in virtual time."""
