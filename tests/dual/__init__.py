"""A paper session beside the live one: `run --mode dual`."""
