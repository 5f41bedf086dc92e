# METADATA
# title: "every_operator"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.every_operator

import data.mcp.condition

revision := "sha256:0"

fallback := "deny"

hide := {}

tools := {"t": true}

# Tool "t"

stop contains [5, 0, "deny", "/tools/t/require/args.a-eq", "Denied by rule \"/tools/t/require/args.a-eq\""] if {
	input.tool == "t"
	condition.equals(object.get(input.args, "a", null), "usd") != true
}

stop contains [5, 1, "deny", "/tools/t/require/args.b-neq", "Denied by rule \"/tools/t/require/args.b-neq\""] if {
	input.tool == "t"
	condition.differs(object.get(input.args, "b", null), 5) != true
}

stop contains [5, 2, "deny", "/tools/t/require/args.c-in", "Denied by rule \"/tools/t/require/args.c-in\""] if {
	input.tool == "t"
	condition.among(object.get(input.args, "c", null), ["a", 1, true]) != true
}

stop contains [5, 3, "deny", "/tools/t/require/args.d-not_in", "Denied by rule \"/tools/t/require/args.d-not_in\""] if {
	input.tool == "t"
	condition.outside(object.get(input.args, "d", null), []) != true
}

stop contains [5, 4, "deny", "/tools/t/require/args.e-lt+args.e-gte", "Denied by rule \"/tools/t/require/args.e-lt+args.e-gte\""] if {
	input.tool == "t"
	condition.below(object.get(input.args, "e", null), 10) != true
}

stop contains [5, 4, "deny", "/tools/t/require/args.e-lt+args.e-gte", "Denied by rule \"/tools/t/require/args.e-lt+args.e-gte\""] if {
	input.tool == "t"
	condition.at_least(object.get(input.args, "e", null), -2.5) != true
}

stop contains [5, 5, "deny", "/tools/t/require/args.f-exists", "Denied by rule \"/tools/t/require/args.f-exists\""] if {
	input.tool == "t"
	condition.present(object.get(input.args, "f", null), true) != true
}

stop contains [6, 6, "deny", "/tools/t/deny_if/args.g-lte", "Denied by rule \"/tools/t/deny_if/args.g-lte\""] if {
	input.tool == "t"
	condition.at_most(object.get(input.args, "g", null), 1) != false
}

# "big charges"
stop contains [6, 7, "deny", "/tools/t/deny_if/args.h-gt", "Charges above 500.00 are refused."] if {
	input.tool == "t"
	condition.above(object.get(input.args, "h", null), 50000) != false
}

stop contains [6, 8, "deny", "/tools/t/deny_if/args.i-regex", "Denied by rule \"/tools/t/deny_if/args.i-regex\""] if {
	input.tool == "t"
	condition.matches(object.get(input.args, "i", null), "^feat/[a-z]+\\.(go|py)$") != false
}

stop contains [6, 9, "deny", "/tools/t/deny_if/args.j.k-contains+args.j.l-exists", "Denied by rule \"/tools/t/deny_if/args.j.k-contains+args.j.l-exists\""] if {
	input.tool == "t"
	condition.includes(object.get(input.args, ["j", "k"], null), "prod") != false
	condition.present(object.get(input.args, ["j", "l"], null), false) != false
}

stop contains [6, 10, "deny", "/tools/t/deny_if/args.m-eq", "Denied by rule \"/tools/t/deny_if/args.m-eq\""] if {
	input.tool == "t"
	condition.equals(object.get(input.args, "m", null), {"a": [1, null, {"b": false}], "c": "x"}) != false
}
