# METADATA
# title: "numbers_in_strings"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.numbers_in_strings

import data.mcp.amount
import data.mcp.args
import data.mcp.condition
import data.mcp.number

revision := "sha256:0"

fallback := "deny"

hide := {}

tools := {"order": true}

# Tool "order"

stop contains [6, 0, "deny", "/tools/order/deny_if/args.qty-gt", "Denied by rule \"/tools/order/deny_if/args.qty-gt\""] if {
	input.tool == "order"
	condition.above(number.read(object.get(input.args, "qty", null)), 1.5) != false
}

stop contains [6, 1, "deny", "/tools/order/deny_if/args.legs.*.qty-in", "Denied by rule \"/tools/order/deny_if/args.legs.*.qty-in\""] if {
	input.tool == "order"
	{condition.among(number.read(args.member(item, "qty")), [0, 1]) | some item in args.each(object.get(input.args, "legs", null))} != {false}
}

stop contains [11, 0, "deny", "/tools/order/limits/spend", "Cannot count this call: args.legs.*.price is missing or not a non-negative number."] if {
	input.tool == "order"
	{amount.countable(number.read(args.member(item, "price"))) | some item in args.each(object.get(input.args, "legs", null))} != {true}
}

limits contains [11, 0, {
	"rule": "/tools/order/limits/spend",
	"message": "Limit of 100 per hour reached. Try again later.",
	"counter": "spend",
	"window": "hour",
	"max": 100,
	"scope": "grant",
	"amounts": [number.read(args.member(item, "price")) | some item in args.each(object.get(input.args, "legs", null))],
}] if {
	input.tool == "order"
}
