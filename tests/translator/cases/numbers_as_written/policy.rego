# METADATA
# title: "numbers_as_written"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.numbers_as_written

import data.mcp.condition

revision := "sha256:0"

fallback := "deny"

hide := {}

tools := {"t": true}

# Tool "t"

stop contains [5, 0, "deny", "/tools/t/require/args.n-in", "Denied by rule \"/tools/t/require/args.n-in\""] if {
	input.tool == "t"
	condition.among(object.get(input.args, "n", null), [0, 0, 0, 0, 1, 100, 100000000000000000000, 1e21, 1.2345678901234567890123456789e29, 0.1, 1e-7, 1.5e-8, -2.5, 9007199254740993, 1e1000, 1e-1000, 0.30000000000000000004]) != true
}
