"""Proofs of intervals that contain a quantity of a chain, and their checker, which uses no solver."""
