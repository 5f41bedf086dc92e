"""The MCP clients in front of us: one adapter for each way they reach us. No policy here."""
