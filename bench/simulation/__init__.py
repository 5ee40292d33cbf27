"""The complete system under a seeded scheduler that also decides what fails, and the invariants that must survive."""
