# METADATA
# title: "allow_everything"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.allow_everything

revision := "sha256:0"

fallback := "allow"

hide := {}

tools := {}
