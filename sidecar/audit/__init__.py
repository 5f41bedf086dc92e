"""Where records of calls are kept. One module per kind of store."""
