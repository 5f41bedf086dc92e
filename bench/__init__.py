"""Measures the gateway; `python -m bench`. Imported by nothing in the product."""
