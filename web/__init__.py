"""The web page: what a process that trades has written, live, and an operator's hand on it."""
