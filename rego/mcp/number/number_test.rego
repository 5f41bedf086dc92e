package mcp.number_test

import data.mcp.number

_read := {
	"0": 0,
	"-0": 0,
	"0.000": 0,
	"-0.0e5": 0,
	"0e99999999999999999999": 0,
	"0e-99999999999999999999": 0,
	"7": 7,
	"-7": -7,
	"100": 100,
	"1200.50": 1200.5,
	"0.1": 0.1,
	"-0.00120": -0.0012,
	"1E3": 1000,
	"1e+3": 1000,
	"1e-3": 0.001,
	"1e000000000000000000000000003": 1000,
	"1e-000000000000000000000000003": 0.001,
	"9007199254740993": 9007199254740993,
	"123456789012345678.1": 123456789012345678.1,
	"1e1000": 1e1000,
	"9.99e1000": 9.99e1000,
	"10e999": 1e1000,
	"1e-1000": 1e-1000,
	"0.1e-999": 1e-1000,
}

_refused := {
	"",
	" 1",
	"1 ",
	"1\n",
	"+1",
	"01",
	"-01",
	"1.",
	".5",
	"1e",
	"1e+",
	"e5",
	"0x10",
	"1_000",
	"1,000",
	"١",
	"NaN",
	"Infinity",
	"null",
	"true",
	"[1]",
	"1e1001",
	"10e1000",
	"1e-1001",
	"0.1e-1000",
	"1e99999999999999",
	"1e-99999999999999",
	"1e99999999999999999999999999",
	"-1e99999999999999999999999999",
}

test_read_number[text] if {
	some text, wanted in _read
	value := number.read(text)
	is_number(value)
	value == wanted
}

test_read_leaves_other_text_unjudgeable[json.marshal(text)] if {
	some text in _refused
	number.read(text) == "not a number"
}

_zeros(n) := concat("", ["0" | some _ in numbers.range(1, n)])

_nines(n) := concat("", ["9" | some _ in numbers.range(1, n)])

test_read_counts_significant_digits_only if {
	is_number(number.read(_nines(100)))
	is_number(number.read(concat("", [_nines(100), _zeros(100)])))
	is_number(number.read(concat("", ["0.", _zeros(100), _nines(100)])))
	is_number(number.read(concat("", ["1.", _zeros(200)])))
	number.read(_nines(101)) == "not a number"
	number.read(concat("", ["0.", _nines(101)])) == "not a number"
}

test_read_judges_the_exponent_in_scientific_form if {
	number.read(concat("", ["0.", _zeros(2000), "1e2000"])) == 0.1
	number.read(concat("", ["1", _zeros(2000), "e-2000"])) == 1
	number.read(concat("", ["1", _zeros(2000)])) == "not a number"
	number.read(concat("", ["0.", _zeros(2000)])) == 0
}

test_read_keeps_what_is_no_string if {
	every value in [null, true, 5, 1.5, 1e400, [], ["1"], {}, {"a": "1"}] {
		number.read(value) == value
	}
}
