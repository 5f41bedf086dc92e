"""Where approvals are kept. One module per kind of store."""
