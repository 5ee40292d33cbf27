"""Learning by proximal policy optimisation: values in, values out; no actors, no files, no clock."""
