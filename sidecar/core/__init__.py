"""Pure: stdlib, errors and, where measured, msgspec. No async, clock, environment, sockets or logging."""
