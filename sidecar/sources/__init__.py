"""Policies that come from elsewhere: fetched, verified, kept. Nothing here decides a call."""
