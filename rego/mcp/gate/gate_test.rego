package mcp.gate_test

import data.mcp.gate

_revision := "sha256:0b1c"

_limit := {
	"rule": "/tools/pay/limits/spend",
	"message": "Limit of 5 per day reached. Try again later.",
	"counter": "spend",
	"window": "day",
	"max": 5,
	"scope": "grant",
	"amounts": [1],
}

# `open` permits every tool; `shut` those it lists; `dark` shows none.
_policies := {
	"open": {
		"revision": _revision,
		"fallback": "allow",
		"hide": {"secret": true},
		"tools": {},
		"limits": {[12, 0, object.union(_limit, {"rule": "/all_tools/limits/spend"})], [11, 1, _limit]},
	},
	"shut": {
		"revision": _revision,
		"fallback": "deny",
		"hide": {"secret": true},
		"tools": {"pay": true, "secret": true},
		"stop": {
			[11, 0, "deny", "/tools/pay/limits/spend", "Cannot count this call."],
			[10, 0, "approval_required", "/all_tools/require_approval/always", "Ask.", 60],
			[9, 0, "approval_required", "/tools/pay/require_approval/always", "Ask first."],
		},
	},
	"long": {
		"revision": _revision,
		"fallback": "allow",
		"hide": {},
		"tools": {},
		"stop": {[10, 0, "approval_required", "/all_tools/require_approval/always", "Ask.", 60]},
	},
	"broken": {
		"revision": _revision,
		"fallback": "allow",
		"hide": {},
		"tools": {},
		"stop": {[6, 0, "unheard of", "/tools/pay/deny_if/always", "No."]},
	},
	"dark": {"revision": _revision, "fallback": "allow", "hide": {"*": true}, "tools": {"pay": true}},
	"mute": {"fallback": "allow", "hide": {}, "tools": {"pay": true}},
}

_call(policy, tool) := {"policy": policy, "server": "s", "grant": "g", "tool": tool, "args": {}}

_decide(call) := answer if {
	answer := gate.decision with input as call with data.mcp.policies as _policies
}

_deny(rule, message) := {"outcome": "deny", "rule": rule, "message": message, "revision": _revision, "limits": []}

_no_policy := {
	"outcome": "deny",
	"rule": "(no policy)",
	"message": "No policy is attached to this grant.",
	"revision": "",
	"limits": [],
}

test_deny_without_a_policy if _decide(_call(null, "pay")) == _no_policy

test_deny_under_an_unknown_policy if {
	every policy in ["nobody", "", "OPEN", "open ", 1, true, ["open"], {"open": true}] {
		_decide(_call(policy, "pay")) == _no_policy
	}
}

test_deny_when_the_question_names_no_policy if {
	_decide({"tool": "pay", "args": {}}) == _no_policy
	_decide({}) == _no_policy
}

test_deny_under_a_policy_without_a_revision if _decide(_call("mute", "pay")) == _no_policy

test_deny_when_opa_holds_no_policy_at_all if {
	answer := gate.decision with input as _call("open", "pay")
	answer == _no_policy
}

test_deny_hidden_though_listed if {
	_decide(_call("shut", "secret")) == _deny("(hidden)", "Tool \"secret\" is hidden by policy")
}

test_deny_everything_when_star_is_hidden if {
	_decide(_call("dark", "pay")) == _deny("(hidden)", "Tool \"pay\" is hidden by policy")
}

test_deny_unlisted_by_default if {
	_decide(_call("shut", "Pay")) == _deny("(default deny)", "Tool \"Pay\" is not permitted by policy")
}

test_deny_inserts_the_name_raw if {
	name := "a\"b%s\\\n"
	_decide(_call("shut", name)).message == concat("", ["Tool \"", name, "\" is not permitted by policy"])
}

test_deny_faulty_arguments_with_the_fault_as_message if {
	call := object.union(object.remove(_call("open", "pay"), ["args"]), {"args_fault": "Duplicate key in tool arguments."})
	_decide(call) == _deny("(invalid arguments)", "Duplicate key in tool arguments.")
}

test_deny_a_fault_even_beside_arguments if {
	call := object.union(_call("open", "pay"), {"args_fault": "Duplicate key in tool arguments."})
	_decide(call) == _deny("(invalid arguments)", "Duplicate key in tool arguments.")
}

test_deny_arguments_that_are_no_object if {
	wanted := _deny("(invalid arguments)", "Tool arguments must be a JSON object.")
	every args in [null, [], "", 0, false] {
		_decide(object.union(_call("open", "pay"), {"args": args})) == wanted
	}
	_decide(object.remove(_call("open", "pay"), ["args"])) == wanted
}

test_deny_a_tool_that_is_no_string if {
	every tool in [null, 1, ["pay"], {"pay": 1}, true] {
		_decide(_call("open", tool)).rule == "(invalid arguments)"
	}
	_decide(object.remove(_call("open", "pay"), ["tool"])).rule == "(invalid arguments)"
}

test_deny_hidden_and_unlisted_before_faulty_arguments if {
	fault := {"args_fault": "Duplicate key in tool arguments."}
	_decide(object.union(_call("open", "secret"), fault)).rule == "(hidden)"
	_decide(object.union(_call("shut", "other"), fault)).rule == "(default deny)"
	_decide(object.union(_call(null, "other"), fault)).rule == "(no policy)"
}

test_allow_with_limits_in_order if {
	_decide(_call("open", "pay")) == {
		"outcome": "allow",
		"rule": "",
		"message": "",
		"revision": _revision,
		"limits": [_limit, object.union(_limit, {"rule": "/all_tools/limits/spend"})],
	}
}

test_hold_on_the_first_stop if {
	_decide(_call("shut", "pay")) == object.union(
		_deny("/tools/pay/require_approval/always", "Ask first."),
		{"outcome": "approval_required"},
	)
}

test_hold_names_the_seconds_where_the_rule_does if {
	_decide(_call("long", "pay")) == object.union(
		_deny("/all_tools/require_approval/always", "Ask."),
		{"outcome": "approval_required", "ttl_s": 60},
	)
}

test_hold_in_any_other_state_of_an_approval if {
	every approval in [{"state": "pending"}, {"state": "GRANTED"}, {"state": true}, {"state": null}, {}, "granted", true, false, null] {
		_decide(object.union(_call("shut", "pay"), {"approval": approval})).outcome == "approval_required"
	}
}

test_deny_a_refused_approval if {
	call := object.union(_call("shut", "pay"), {"approval": {"state": "refused"}})
	_decide(call) == _deny("/tools/pay/require_approval/always", "Approval was refused.")
}

test_deny_what_a_granted_approval_does_not_lift if {
	call := object.union(_call("shut", "pay"), {"approval": {"state": "granted"}})
	_decide(call) == _deny("/tools/pay/limits/spend", "Cannot count this call.")
}

test_allow_a_granted_approval if {
	call := object.union(_call("long", "pay"), {"approval": {"state": "granted", "by": "someone"}})
	_decide(call).outcome == "allow"
}

# A stop the gate cannot read must not be taken for no stop.
test_deny_on_an_unreadable_stop if _decide(_call("broken", "pay")) == _no_policy

test_batch_answers_in_order if {
	calls := [_call("open", "pay"), _call(null, "pay"), _call("open", "secret"), {}, _call("open", "pay")]
	answers := gate.decisions with input as {"calls": calls} with data.mcp.policies as _policies
	[answer.outcome | some answer in answers] == ["allow", "deny", "deny", "deny", "allow"]
	[answer.rule | some answer in answers] == ["", "(no policy)", "(hidden)", "(no policy)", ""]
}

test_batch_of_none if {
	answers := gate.decisions with input as {"calls": []}
	answers == []
}

_see(policy, names) := answer if {
	answer := gate.visible with input as {"policy": policy, "tools": names} with data.mcp.policies as _policies
}

test_visible_keeps_order_and_drops_hidden_names if {
	_see("shut", ["z", "secret", "pay", "a"]) == {"revision": _revision, "names": ["z", "pay", "a"]}
}

_call_of(policy, list, names) := answer.names if {
	asked := {"policy": policy, "tools": names, "list": list}
	answer := gate.visible with input as asked with data.mcp.policies as _policies
}

test_visible_callable_leaves_out_what_the_default_denies if {
	_call_of("shut", "callable", ["z", "secret", "pay", "a"]) == ["pay"]
	_call_of("shut", "hidden", ["z", "secret", "pay", "a"]) == ["z", "pay", "a"]
}

test_visible_callable_is_all_but_hidden_where_the_default_allows if {
	_call_of("open", "callable", ["z", "secret", "pay"]) == ["z", "pay"]
	_call_of("dark", "callable", ["pay"]) == []
	_call_of(null, "callable", ["pay"]) == []
}

test_visible_is_empty_under_star if _see("dark", ["pay"]) == {"revision": _revision, "names": []}

test_visible_is_empty_without_a_policy if _see(null, ["pay"]) == {"revision": "", "names": []}

test_visible_is_undefined_under_an_unknown_policy if {
	not _see("nobody", ["pay"])
	not _see("mute", ["pay"])
}

test_revisions_of_every_policy if {
	answer := gate.revisions with data.mcp.policies as _policies
	answer == {id: _revision | some id, policy in _policies; policy.revision}
}
