# METADATA
# title: "hide_several"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.hide_several

revision := "sha256:0"

fallback := "deny"

hide := {
	"wsCancelOrder": true,
	"wsBatchCancelOrders": true,
}

tools := {
	"wsBatchAmendOrders": true,
	"wsBatchCreateOrders": true,
}

# Tool "wsBatchAmendOrders"

limits contains [11, 0, {
	"rule": "/tools/wsBatchAmendOrders/limits/wsbatchamendorders_rate",
	"message": "Rate limit of 10 per minute reached. Try again later.",
	"counter": "wsbatchamendorders_rate",
	"window": "minute",
	"max": 10,
	"scope": "grant",
	"amounts": [1],
}] if {
	input.tool == "wsBatchAmendOrders"
}

# Tool "wsBatchCreateOrders"

stop contains [6, 0, "deny", "/tools/wsBatchCreateOrders/deny_if/always", "Requires human approval."] if {
	input.tool == "wsBatchCreateOrders"
}
