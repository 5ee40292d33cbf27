"""Settings of one run, read by the command line alone."""
