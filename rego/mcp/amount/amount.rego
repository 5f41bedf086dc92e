# METADATA
# title: Amounts
# description: >-
#   What a spend limit may count. Nothing is added up here: sums in Rego round, so amounts are handed
#   over as they were found.
package mcp.amount

# METADATA
# title: Whether a found value can be counted
# description: True for a number that is not negative, false for anything else, absent included.
default countable(_) := false

countable(value) if {
	is_number(value)
	value >= 0
}
