# METADATA
# title: "limits_of_every_kind"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.limits_of_every_kind

import data.mcp.amount

revision := "sha256:0"

fallback := "deny"

hide := {}

tools := {"t": true}

# Tool "t"

# "nobody calls\nthis"
limits contains [11, 0, {
	"rule": "/tools/t/limits/per minute",
	"message": "Rate limit of 0 per minute reached. Try again later.",
	"counter": "per minute",
	"window": "minute",
	"max": 0,
	"scope": "grant",
	"amounts": [1],
}] if {
	input.tool == "t"
}

limits contains [11, 1, {
	"rule": "/tools/t/limits/h",
	"message": "Enough for this hour.",
	"counter": "h",
	"window": "hour",
	"max": 3,
	"scope": "session",
	"amounts": [1],
}] if {
	input.tool == "t"
}

limits contains [11, 2, {
	"rule": "/tools/t/limits/d",
	"message": "Rate limit of 1000.0 per day reached. Try again later.",
	"counter": "d",
	"window": "day",
	"max": 1000,
	"scope": "server",
	"amounts": [1],
}] if {
	input.tool == "t"
}

limits contains [11, 3, {
	"rule": "/tools/t/limits/s",
	"message": "Rate limit of 60.0 per 90 seconds reached. Try again later.",
	"counter": "s",
	"window": 90,
	"max": 60,
	"scope": "grant",
	"amounts": [2],
}] if {
	input.tool == "t"
}

stop contains [11, 4, "deny", "/tools/t/limits/spend", "Cannot count this call: args.amount is missing or not a non-negative number."] if {
	input.tool == "t"
	amount.countable(object.get(input.args, "amount", null)) != true
}

limits contains [11, 4, {
	"rule": "/tools/t/limits/spend",
	"message": "Limit of 0.3 per 86400 seconds reached. Try again later.",
	"counter": "spend",
	"window": 86400,
	"max": 0.3,
	"scope": "grant",
	"amounts": [object.get(input.args, "amount", null)],
}] if {
	input.tool == "t"
}

# Every tool

limits contains [12, 0, {
	"rule": "/all_tools/limits/calls",
	"message": "Rate limit of 60 per 60 seconds reached. Try again later.",
	"counter": "calls",
	"window": 60,
	"max": 60,
	"scope": "grant",
	"amounts": [1],
}]
