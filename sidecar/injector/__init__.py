"""The admission webhook that puts the sidecar into pods, and refuses what leads past it. Knows no policy, no MCP."""
