"""Where counting is done. One module per kind of store."""
