# METADATA
# title: Arguments
# description: >-
#   Steps of a path that may meet an array. Paths over objects alone are `object.get` in the policy
#   itself. Every step has a value for every input: null stands for absent, as everywhere in a policy.
package mcp.args

# METADATA
# title: One step into a value
# description: >-
#   The member of an object, or the element of an array when the segment is a decimal index without
#   leading zeros; null otherwise.
default member(_, _) := null

member(value, segment) := object.get(value, segment, null) if is_object(value)

member(value, segment) := value[to_number(segment)] if {
	is_array(value)
	regex.match(`^(0|[1-9][0-9]{0,15})$`, segment)
}

# METADATA
# title: The step `*`
# description: >-
#   Every element of an array. An empty array is one absent value, so that a rule over its elements has
#   something to judge. On an object `*` is the member of that name.
default each(_) := [null]

each(value) := value if {
	is_array(value)
	count(value) > 0
}

each(value) := [object.get(value, "*", null)] if is_object(value)
