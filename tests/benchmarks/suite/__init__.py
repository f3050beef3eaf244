"""What the benchmarks of chains share: models, the sides that are compared, limits, results, tables."""
