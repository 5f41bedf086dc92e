package mcp.condition_test

import data.mcp.condition

# Each row: the operator, its operand, then for each answer the values that get it.
_rows := [
	{"op": "eq", "operand": "usd", "true": ["usd"], "false": ["USD", "", "usd ", null], "undetermined": [1, true, ["usd"], {"usd": 1}]},
	{"op": "eq", "operand": 1, "true": [1, 1.0, 1e0, 10e-1], "false": [2, 1.0000000000000001, null], "undetermined": ["1", true, [1], {}]},
	{"op": "eq", "operand": true, "true": [true], "false": [false, null], "undetermined": [1, "true", [], {}]},
	{"op": "eq", "operand": 9007199254740993, "true": [9007199254740993], "false": [9007199254740992, 9007199254740994], "undetermined": []},
	{"op": "eq", "operand": [1, {"a": null}], "true": [[1.0, {"a": null}]], "false": [[{"a": null}, 1], [], [1, {}], null], "undetermined": ["", {}]},
	{"op": "eq", "operand": {"a": [1], "b": 2}, "true": [{"b": 2.0, "a": [1]}], "false": [{"a": [1]}, {}, null], "undetermined": [[], 1]},
	{"op": "neq", "operand": "usd", "true": ["eur", ""], "false": ["usd", null], "undetermined": [1, true, [], {}]},
	{"op": "neq", "operand": 1, "true": [2, 1.5], "false": [1.0, null], "undetermined": ["1", false]},
	{"op": "in", "operand": ["a", 5], "true": ["a", 5, 5.0], "false": ["b", 6, null], "undetermined": [true, ["a"], {"a": 5}]},
	{"op": "in", "operand": [], "true": [], "false": ["a", 1, true, [], {}, null], "undetermined": []},
	{"op": "in", "operand": [[1], {"a": 1}], "true": [[1.0], {"a": 1}], "false": [[2], {}, null], "undetermined": [1, "a", true]},
	{"op": "not_in", "operand": ["a", 5], "true": ["b", 6], "false": ["a", 5, null], "undetermined": [true, ["a"], {"a": 5}]},
	{"op": "not_in", "operand": [], "true": ["a", 1, true, [], {}], "false": [null], "undetermined": []},
	{"op": "lt", "operand": 10, "true": [9, -1, 9.9999999999999999], "false": [10, 10.0, 11, null], "undetermined": ["9", true, [], {}]},
	{"op": "lte", "operand": 10, "true": [10, 10.0, -1e400], "false": [11, 10.0000000000000001, null], "undetermined": ["9", false, [1], {}]},
	{"op": "gt", "operand": 10, "true": [11, 1e400, 10.0000000000000001], "false": [10, 9, null], "undetermined": ["11", true, [11], {}]},
	{"op": "gt", "operand": 9007199254740992, "true": [9007199254740993], "false": [9007199254740992, 9007199254740991], "undetermined": []},
	{"op": "gte", "operand": 10, "true": [10, 10.0, 1e1000], "false": [9, null], "undetermined": ["11", true, [], {"a": 11}]},
	{"op": "regex", "operand": `^a.c$`, "true": ["abc"], "false": ["a\nc", "abc\n", "xabc", "", null], "undetermined": [1, true, ["abc"], {}]},
	{"op": "regex", "operand": `(?i)delete`, "true": ["please DELETE it"], "false": ["", null], "undetermined": [[]]},
	{"op": "regex", "operand": `\d`, "true": ["a1"], "false": ["١"], "undetermined": [1]},
	{"op": "contains", "operand": "b", "true": ["abc", ["a", "b"]], "false": ["ac", "", [], ["ab"], null], "undetermined": [1, true, {"b": 1}]},
	{"op": "contains", "operand": 5, "true": [[1, 5.0]], "false": [["5"], [], null], "undetermined": ["5", 5, {}, true]},
	{"op": "contains", "operand": [1], "true": [[[1]]], "false": [[1]], "undetermined": ["[1]"]},
	{"op": "exists", "operand": true, "true": [0, "", false, [], {}], "false": [null], "undetermined": []},
	{"op": "exists", "operand": false, "true": [null], "false": [0, "", false, [], {}], "undetermined": []},
]

_judge("eq", value, operand) := condition.equals(value, operand)

_judge("neq", value, operand) := condition.differs(value, operand)

_judge("in", value, operand) := condition.among(value, operand)

_judge("not_in", value, operand) := condition.outside(value, operand)

_judge("lt", value, operand) := condition.below(value, operand)

_judge("lte", value, operand) := condition.at_most(value, operand)

_judge("gt", value, operand) := condition.above(value, operand)

_judge("gte", value, operand) := condition.at_least(value, operand)

_judge("regex", value, operand) := condition.matches(value, operand)

_judge("contains", value, operand) := condition.includes(value, operand)

_judge("exists", value, operand) := condition.present(value, operand)

_answers := {"true": true, "false": false, "undetermined": "undetermined"}

test_operator[name] if {
	some row in _rows
	some answer, wanted in _answers
	some value in row[answer]
	name := sprintf("%s %s of %s is %s", [row.op, json.marshal(row.operand), json.marshal(value), answer])
	_judge(row.op, value, row.operand) == wanted
}

# Opa.md, trap 2: ordering works across types in Rego itself.
test_deny_reading_of_a_wrong_type_fires if {
	every value in ["9", [1], {}, true] {
		condition.above(value, 10) != false
		condition.below(value, 10) != false
	}
}

test_require_reading_of_a_wrong_type_refuses if {
	every value in ["9", [1], {}, true] {
		condition.above(value, 10) != true
		condition.below(value, 10) != true
	}
}
