# METADATA
# title: "faq_dialect"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.faq_dialect

revision := "sha256:0"

fallback := "deny"

hide := {"rm": true}

tools := {
	"wsCancelOrder": true,
	"x": true,
	"cancel_order": true,
	"rm": true,
	"ok": true,
	"ask": true,
}

# Tool "wsCancelOrder"

stop contains [6, 0, "deny", "/tools/wsCancelOrder/deny_if/always", "Cancelling is manual."] if {
	input.tool == "wsCancelOrder"
}

# Tool "x"

stop contains [6, 0, "deny", "/tools/x/deny_if/always", "Denied by rule \"/tools/x/deny_if/always\""] if {
	input.tool == "x"
}

# Tool "cancel_order"

limits contains [11, 0, {
	"rule": "/tools/cancel_order/limits/cancel_order_rate",
	"message": "Rate limit of 10 per minute reached. Try again later.",
	"counter": "cancel_order_rate",
	"window": "minute",
	"max": 10,
	"scope": "session",
	"amounts": [1],
}] if {
	input.tool == "cancel_order"
}

# Tool "ask"

stop contains [9, 0, "approval_required", "/tools/ask/require_approval/always", "Ask."] if {
	input.tool == "ask"
}
