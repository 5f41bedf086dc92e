# METADATA
# title: "approvals"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.approvals

import data.mcp.args
import data.mcp.condition

revision := "sha256:0"

fallback := "deny"

hide := {}

tools := {
	"refund": true,
	"wire": true,
}

# Tool "refund"

# "large"
stop contains [9, 0, "approval_required", "/tools/refund/require_approval/args.amount-gt+args.currency-neq", "Over 100 needs sign-off.", 600] if {
	input.tool == "refund"
	condition.above(object.get(input.args, "amount", null), 100) != false
	condition.differs(object.get(input.args, "currency", null), "eur") != false
}

stop contains [9, 1, "approval_required", "/tools/refund/require_approval/args.to.*-eq", "Requires human approval."] if {
	input.tool == "refund"
	{condition.equals(item, "new") | some item in args.each(object.get(input.args, "to", null))} != {false}
}

# Tool "wire"

stop contains [6, 0, "deny", "/tools/wire/deny_if/args.x-eq", "Denied by rule \"/tools/wire/deny_if/args.x-eq\""] if {
	input.tool == "wire"
	condition.equals(object.get(input.args, "x", null), 1) != false
}

stop contains [9, 1, "approval_required", "/tools/wire/deny_if/always", "Requires human approval."] if {
	input.tool == "wire"
}

stop contains [9, 2, "approval_required", "/tools/wire/require_approval/always", "Requires human approval."] if {
	input.tool == "wire"
}

# Every tool

stop contains [10, 0, "approval_required", "/all_tools/require_approval/args.force-eq", "Requires human approval."] if {
	condition.equals(object.get(input.args, "force", null), true) != false
}
