# METADATA
# title: "listed_without_rules"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.listed_without_rules

revision := "sha256:0"

fallback := "deny"

hide := {}

tools := {
	"list_customers": true,
	"list_charges": true,
}
