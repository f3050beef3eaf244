"""Benchmarks are scripts: pytest has nothing to collect here, and need not import what they compare with."""

collect_ignore_glob = ["*.py"]
