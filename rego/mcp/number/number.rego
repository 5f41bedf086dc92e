# METADATA
# title: Numbers in strings
# description: >-
#   Reads a number that a caller sent as a string, for conditions and amounts with `as: "number"`.
#   Exact, and within the bounds that hold for every number in arguments: a decimal exponent from
#   -1000 to 1000 and at most 100 significant digits.
package mcp.number

# METADATA
# title: A value with its numeric string read
# description: >-
#   The number that a string writes in JSON's grammar, whole and within the bounds. Another string is a
#   text no operator on numbers can judge; a value that is no string stays itself.
default read(_) := "not a number"

read(value) := value if not is_string(value)

# Only canonical text is ever made a number: neither a long run of zeros nor a huge exponent reaches
# the parser, and `to_number` would not be exact.
read(text) := json.unmarshal(_canonical(_parts(text))) if is_string(text)

_parts(text) := {"sign": found[1], "whole": found[2], "digits": concat("", [found[2], found[3]]), "exponent": found[4]} if {
	grammar := `^(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$`
	some found in regex.find_all_string_submatch_n(grammar, text, 1)
}

_canonical(parts) := "0" if trim(parts.digits, "0") == ""

_canonical(parts) := sprintf("%s%se%d", [parts.sign, significant, exponent - (count(significant) - 1)]) if {
	unpadded := trim_left(parts.digits, "0")
	significant := trim_right(unpadded, "0")
	count(significant) > 0
	count(significant) <= 100
	zeros := count(parts.digits) - count(unpadded)
	exponent := (_power(parts.exponent) + count(parts.whole)) - (zeros + 1)
	exponent >= -1000
	exponent <= 1000
}

# Seventeen digits and more are out of bounds beside any text that fits into memory.
_power(written) := to_number(concat("", [_sign(written), digits])) if {
	digits := trim_left(written, "+-0")
	count(digits) > 0
	count(digits) < 17
}

_power(written) := 0 if trim_left(written, "+-0") == ""

_sign(written) := "-" if startswith(written, "-")

_sign(written) := "" if not startswith(written, "-")
