# METADATA
# title: "odd_text"
# description: Made by regate from the policy of this name. Edit that policy, not this file.
package mcp.policies.odd_text

import data.mcp.condition

revision := "sha256:0"

fallback := "deny"

hide := {
	"say \"hi\"\n}": true,
	"back\\slash": true,
}

tools := {
	"a\"] := true # \nallow if {\n\ttrue\n}": true,
	"METADATA": true,
	"# METADATA\n# title: x": true,
}

# Tool "a\"] := true # \nallow if {\n\ttrue\n}"

stop contains [6, 0, "deny", "/tools/a\"] := true # \nallow if {\n\ttrue\n}/deny_if/args.} \"q.\\n\n-eq", "%s {{}} ${x} `tick` \t\r\n"] if {
	input.tool == "a\"] := true # \nallow if {\n\ttrue\n}"
	condition.equals(object.get(input.args, ["} \"q", "\\n\n"], null), "\u0000\u0007\u001f\u007f\u0085\u00a0\u2028\u2029\u202e\ufeff\u200b😀é漢\udb40\udc01") != false
}

# Tool "METADATA"

limits contains [11, 0, {
	"rule": "/tools/METADATA/limits/a~1b~0c \u202e",
	"message": "Rate limit of 1e+30 per minute reached. Try again later.",
	"counter": "a/b~c \u202e",
	"window": "minute",
	"max": 1e30,
	"scope": "grant",
	"amounts": [1],
}] if {
	input.tool == "METADATA"
}

# Tool "# METADATA\n# title: x"

stop contains [5, 0, "deny", "/tools/# METADATA\n# title: x/require/args.\u202eevil-regex", "Denied by rule \"/tools/# METADATA\n# title: x/require/args.\u202eevil-regex\""] if {
	input.tool == "# METADATA\n# title: x"
	condition.matches(object.get(input.args, "\u202eevil", null), "[\"\\\\]\\s\u0000") != true
}
