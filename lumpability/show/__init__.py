"""Ways to show models and results: `text` for tables."""
