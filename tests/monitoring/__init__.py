"""Tests of what is shown to those who watch: metrics and logs."""
