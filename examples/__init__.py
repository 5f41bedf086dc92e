"""Examples that run: `make run`, `make demo`, and what they need. Nothing here is imported by the product."""
