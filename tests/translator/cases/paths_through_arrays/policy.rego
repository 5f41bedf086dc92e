# METADATA
# title: "paths_through_arrays"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.paths_through_arrays

import data.mcp.amount
import data.mcp.args
import data.mcp.condition

revision := "sha256:0"

fallback := "deny"

hide := {}

tools := {"batch": true}

# Tool "batch"

stop contains [5, 0, "deny", "/tools/batch/require/args.ids.*-gt", "Denied by rule \"/tools/batch/require/args.ids.*-gt\""] if {
	input.tool == "batch"
	{condition.above(item, 0) | some item in args.each(object.get(input.args, "ids", null))} != {true}
}

stop contains [5, 1, "deny", "/tools/batch/require/args.list.0-eq", "Denied by rule \"/tools/batch/require/args.list.0-eq\""] if {
	input.tool == "batch"
	condition.equals(args.member(object.get(input.args, "list", null), "0"), "a") != true
}

stop contains [5, 2, "deny", "/tools/batch/require/args.0.x-exists", "Denied by rule \"/tools/batch/require/args.0.x-exists\""] if {
	input.tool == "batch"
	condition.present(object.get(input.args, ["0", "x"], null), true) != true
}

stop contains [6, 3, "deny", "/tools/batch/deny_if/args.orders.*.symbol-not_in", "Denied by rule \"/tools/batch/deny_if/args.orders.*.symbol-not_in\""] if {
	input.tool == "batch"
	{condition.outside(args.member(item, "symbol"), ["BTCUSDT", "ETHUSDT"]) | some item in args.each(object.get(input.args, "orders", null))} != {false}
}

stop contains [6, 4, "deny", "/tools/batch/deny_if/args.a.*.b.*.c-eq+args.*.b-eq", "Denied by rule \"/tools/batch/deny_if/args.a.*.b.*.c-eq+args.*.b-eq\""] if {
	input.tool == "batch"
	{condition.equals(args.member(item2, "c"), 1) | some item in args.each(object.get(input.args, "a", null)); some item2 in args.each(args.member(item, "b"))} != {false}
	condition.equals(object.get(input.args, ["*", "b"], null), 2) != false
}

stop contains [6, 5, "deny", "/tools/batch/deny_if/args.grid.1.2-gt", "Denied by rule \"/tools/batch/deny_if/args.grid.1.2-gt\""] if {
	input.tool == "batch"
	condition.above(args.member(args.member(object.get(input.args, "grid", null), "1"), "2"), 3) != false
}

stop contains [6, 6, "deny", "/tools/batch/deny_if/args.a.b.*.01-eq", "Denied by rule \"/tools/batch/deny_if/args.a.b.*.01-eq\""] if {
	input.tool == "batch"
	{condition.equals(args.member(item, "01"), 3) | some item in args.each(object.get(input.args, ["a", "b"], null))} != {false}
}

stop contains [11, 0, "deny", "/tools/batch/limits/qty", "Cannot count this call: args.orders.*.qty is missing or not a non-negative number."] if {
	input.tool == "batch"
	{amount.countable(args.member(item, "qty")) | some item in args.each(object.get(input.args, "orders", null))} != {true}
}

limits contains [11, 0, {
	"rule": "/tools/batch/limits/qty",
	"message": "Limit of 1000.5 per day reached. Try again later.",
	"counter": "qty",
	"window": "day",
	"max": 1000.5,
	"scope": "grant",
	"amounts": [args.member(item, "qty") | some item in args.each(object.get(input.args, "orders", null))],
}] if {
	input.tool == "batch"
}
