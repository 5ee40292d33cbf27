"""What several benchmarks measure with: processes in `/proc`, trends, percentiles, what is reachable."""
