"""Policies tried out for tools and tests: the translator, a real OPA and the real counters. Forwards no call."""
