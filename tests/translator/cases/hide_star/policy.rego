# METADATA
# title: "hide_star"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.hide_star

revision := "sha256:0"

fallback := "allow"

hide := {"*": true}

tools := {"a": true}
