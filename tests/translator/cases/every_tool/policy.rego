# METADATA
# title: "every_tool"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.every_tool

import data.mcp.amount
import data.mcp.condition

revision := "sha256:0"

fallback := "allow"

hide := {}

tools := {"a": true}

# Tool "a"

stop contains [5, 0, "deny", "/tools/a/require/args.x-exists", "Denied by rule \"/tools/a/require/args.x-exists\""] if {
	input.tool == "a"
	condition.present(object.get(input.args, "x", null), true) != true
}

# Every tool

stop contains [7, 0, "deny", "/all_tools/require/args.reason-exists", "Say why."] if {
	condition.present(object.get(input.args, "reason", null), true) != true
}

stop contains [8, 1, "deny", "/all_tools/deny_if/args.env-eq", "Denied by rule \"/all_tools/deny_if/args.env-eq\""] if {
	condition.equals(object.get(input.args, "env", null), "prod") != false
}

stop contains [8, 2, "deny", "/all_tools/deny_if/always", "Denied by rule \"/all_tools/deny_if/always\""]

stop contains [12, 0, "deny", "/all_tools/limits/n", "Cannot count this call: args.n is missing or not a non-negative number."] if {
	amount.countable(object.get(input.args, "n", null)) != true
}

limits contains [12, 0, {
	"rule": "/all_tools/limits/n",
	"message": "Limit of 5 per day reached. Try again later.",
	"counter": "n",
	"window": "day",
	"max": 5,
	"scope": "grant",
	"amounts": [object.get(input.args, "n", null)],
}]
