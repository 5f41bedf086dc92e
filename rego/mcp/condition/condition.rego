# METADATA
# title: Conditions
# description: >-
#   One function per operator. Each is total and answers true, false, or "undetermined" for a value of a
#   type that it cannot judge. A rule that refuses asks for `!= false`, a rule that requires refuses on
#   `!= true`: so neither a wrong type nor a hole in this file can let a call through. An absent value
#   (null) makes every operator but `present` false. Types come first, since Rego orders across types.
#   Numbers compare exactly up to 19 digits, whole ones always; OPA rounds a longer number with a fraction.
package mcp.condition

# METADATA
# title: "eq: JSON-equal"
default equals(_, _) := "undetermined"

equals(null, _) := false

equals(value, wanted) := value == wanted if type_name(value) == type_name(wanted)

# METADATA
# title: "neq: not JSON-equal"
default differs(_, _) := "undetermined"

differs(null, _) := false

differs(value, unwanted) := value != unwanted if type_name(value) == type_name(unwanted)

# METADATA
# title: "in: equal to some element"
default among(_, _) := "undetermined"

among(null, _) := false

among(value, list) := value in list if _comparable(value, list)

# METADATA
# title: "not_in: equal to no element"
default outside(_, _) := "undetermined"

outside(null, _) := false

outside(value, list) := false if {
	_comparable(value, list)
	value in list
}

outside(value, list) if {
	_comparable(value, list)
	not value in list
}

# METADATA
# title: "lt: less than"
default below(_, _) := "undetermined"

below(null, _) := false

below(value, bound) := value < bound if is_number(value)

# METADATA
# title: "lte: at most"
default at_most(_, _) := "undetermined"

at_most(null, _) := false

at_most(value, bound) := value <= bound if is_number(value)

# METADATA
# title: "gt: greater than"
default above(_, _) := "undetermined"

above(null, _) := false

above(value, bound) := value > bound if is_number(value)

# METADATA
# title: "gte: at least"
default at_least(_, _) := "undetermined"

at_least(null, _) := false

at_least(value, bound) := value >= bound if is_number(value)

# METADATA
# title: "regex: the pattern is found in the string"
default matches(_, _) := "undetermined"

matches(null, _) := false

matches(value, pattern) := regex.match(pattern, value) if is_string(value)

# METADATA
# title: "contains: a part of the string, or an element of the array"
default includes(_, _) := "undetermined"

includes(null, _) := false

includes(value, part) := contains(value, part) if {
	is_string(value)
	is_string(part)
}

includes(value, part) := part in value if is_array(value)

# METADATA
# title: "exists: present or absent, as wanted"
present(value, wanted) := wanted == (value != null)

_comparable(value, list) if {
	value != null
	list == []
}

_comparable(value, list) if {
	value != null
	some element in list
	type_name(element) == type_name(value)
}
