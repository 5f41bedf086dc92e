"""The MCP servers behind us: one adapter for each way to reach them. No policy here."""
