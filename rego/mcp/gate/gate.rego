# METADATA
# title: Gate
# description: >-
#   The only maker of decisions. It knows no policy by name: it looks up the one of the grant, takes the
#   first rule that stops the call, and hands over the limits of a call that nothing stops. Each
#   question has one constant path, since OPA keeps only a hundred prepared queries.
# schemas:
#   - input: schema.input
package mcp.gate

import data.mcp.policies

# METADATA
# title: Decision on one call
# description: >-
#   Allow only where the tool is permitted by a known policy, is not hidden, has arguments that can be
#   judged, and no rule stops the call; whatever has no value ends in the default. A policy that OPA
#   does not hold is answered like none: the caller, who knows that there is one, takes it as unavailable.
# entrypoint: true
default decision := {
	"outcome": "deny",
	"rule": "(no policy)",
	"message": "No policy is attached to this grant.",
	"revision": "",
	"limits": [],
}

decision := {
	"outcome": "allow",
	"rule": "",
	"message": "",
	"revision": _revision,
	"limits": [limit[2] | some limit in policies[input.policy].limits],
} if {
	_permitted
	_well_formed
	not _hidden
	not _first
} else := _refusal

# METADATA
# title: Decisions on a batch of calls, in the same order
# entrypoint: true
decisions := [answer | some call in input.calls; answer := decision with input as call]

# METADATA
# title: Tools of a list that are not hidden, in the same order
# description: >-
#   Undefined for a policy that OPA does not hold. Without a policy nothing is visible. A grant may ask for
#   those alone that some call of could be permitted.
# entrypoint: true
visible := {"revision": _revision, "names": [name | some name in input.tools; not _hides(name); _listed(name)]}

visible := {"revision": "", "names": []} if input.policy == null

# METADATA
# title: Revision of every policy that OPA holds
# entrypoint: true
revisions[id] := revision if {
	some id
	revision := policies[id].revision
}

_revision := policies[input.policy].revision

_hides(name) if policies[input.policy].hide[name]

_hides(_) if policies[input.policy].hide["*"]

_listed(_) if not input.list == "callable"

_listed(name) if policies[input.policy].tools[name]

_listed(_) if policies[input.policy].fallback == "allow"

_hidden if policies[input.policy].hide[input.tool]

_hidden if policies[input.policy].hide["*"]

_permitted if policies[input.policy].tools[input.tool]

_permitted if policies[input.policy].fallback == "allow"

_well_formed if {
	is_string(input.tool)
	is_object(input.args)
	not input.args_fault
}

_refusal := _denied("(hidden)", sprintf("Tool \"%s\" is hidden by policy", [input.tool])) if {
	_hidden
} else := _denied("(default deny)", sprintf("Tool \"%s\" is not permitted by policy", [input.tool])) if {
	not _permitted
} else := _denied("(invalid arguments)", input.args_fault) if {
	input.args_fault
} else := _denied("(invalid arguments)", "Tool arguments must be a JSON object.") if {
	not _well_formed
} else := _stopped(_first)

_denied(rule, message) := {"outcome": "deny", "rule": rule, "message": message, "revision": _revision, "limits": []}

# A `stop` is [step, index, outcome, rule id, message] with, at times, the seconds that an approval stays
# good: the smallest is the first in the order of evaluation. A granted approval lifts only what asks for one.
_first := min(policies[input.policy].stop) if not input.approval

_first := min([stop | some stop in policies[input.policy].stop; not _lifted(stop)]) if input.approval

_lifted(stop) if {
	stop[2] == "approval_required"
	input.approval.state == "granted"
}

_refused if input.approval.state == "refused"

_stopped(stop) := _denied(stop[3], stop[4]) if stop[2] == "deny"

_stopped(stop) := _denied(stop[3], "Approval was refused.") if {
	stop[2] == "approval_required"
	_refused
}

_stopped(stop) := object.union(_denied(stop[3], stop[4]), {"outcome": "approval_required"}) if {
	stop[2] == "approval_required"
	count(stop) == 5
	not _refused
}

_stopped(stop) := object.union(_denied(stop[3], stop[4]), {"outcome": "approval_required", "ttl_s": stop[5]}) if {
	stop[2] == "approval_required"
	count(stop) == 6
	not _refused
}
