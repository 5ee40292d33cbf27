"""Specifications of the web page: who may see and do what, what it shows of which state, and the page in a browser."""
