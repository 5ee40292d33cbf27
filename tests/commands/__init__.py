"""Specifications of the command line itself: help, mistakes, completion, output, config, doctor, migrate."""
