"""Adapters of the port `States`."""
