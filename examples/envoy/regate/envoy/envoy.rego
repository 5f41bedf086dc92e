# METADATA
# title: Envoy
# description: >-
#   A request that Envoy's ext_authz asks opa-envoy-plugin about, as a question to the gate. It lets tool calls pass
#   that the policy allows without any obligation, and messages that call no tool. Whatever cannot be read in one way
#   only is denied. Nothing is counted here, nobody is asked, and no list is filtered: that takes the gateway.
package regate.envoy

import data.mcp.gate

# METADATA
# title: What Envoy is told
# entrypoint: true
default answer := {"allowed": false, "http_status": 403, "body": "[POLICY DENIED] This request cannot be judged."}

answer := {"allowed": true} if {
	_passes
} else := {"allowed": false, "http_status": 403, "body": concat("", ["[POLICY DENIED] ", _reason])}

# METADATA
# title: The question to the gate
# description: Who asks is said by Envoy (mutual TLS), and what that means by data.regate.grants.
query := {
	"policy": _grant.policy,
	"server": _grant.server,
	"grant": _grant.grant,
	"tool": _message.params.name,
	"args": _arguments,
}

decision := verdict if {
	verdict := gate.decision with input as query
}

_http := input.attributes.request.http

_grant := data.regate.grants[input.attributes.source.principal]

# Not input.parsed_body: the plugin reads the body as YAML, which takes more than JSON and keeps less of numbers.
_message := json.unmarshal(_http.body)

# No arguments are empty arguments. What is no object, the gate refuses.
_arguments := {} if object.get(_message.params, "arguments", null) == null

_arguments := _message.params.arguments if object.get(_message.params, "arguments", null) != null

# A stream that is listened to, and the end of a session.
_passes if {
	_http.method in {"GET", "DELETE"}
	_grant
	object.get(_http, "body", "") == ""
}

_passes if {
	_is_sound
	not _calls_a_tool
}

_passes if {
	_is_sound
	_calls_a_tool
	decision.outcome == "allow"
	decision.limits == []
}

_calls_a_tool if _message.method == "tools/call"

# One message that everybody reads alike: whole, with no name in it twice, and with headers that say the same.
_is_sound if {
	_http.method == "POST"
	_grant
	object.get(input, "truncated_body", false) == false
	is_object(_message)
	_colons == _members
	_exact
	_same("mcp-method", object.get(_message, "method", ""))
	_same("mcp-name", object.get(_message, ["params", "name"], ""))
}

# Some readers take "Method" for "method". Here a name is one of those that there are, to the letter.
_exact if {
	every name, _ in _message {
		name in {"jsonrpc", "id", "method", "params", "result", "error"}
	}
	every name, _ in object.get(_message, "params", {}) {
		regex.match(`^[ -~]+$`, name)
		not _looks_like(name)
	}
}

_looks_like(name) if {
	some wanted in {"name", "arguments"}
	lower(name) == wanted
	name != wanted
}

_same(header, said) if object.get(_http.headers, header, said) == said

# Of two members of one name a parser keeps one, and not every parser the same. Outside of strings, each member of the
# text has one colon; if there are more of them than members that were kept, a name is there twice.
_colons := strings.count(regex.replace(_http.body, `"(?:[^"\\]|\\.)*"`, `""`), ":")

_members := count([path |
	walk(_message, [path, _])
	is_string(path[count(path) - 1])
])

_reason := decision.message if {
	_is_sound
	decision.message != ""
} else := "This call has limits, which only the gateway counts." if {
	_is_sound
	decision.outcome == "allow"
} else := "Nobody known asks." if {
	not _grant
} else := "The message cannot be read in one way only."
