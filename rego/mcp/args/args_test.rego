package mcp.args_test

import data.mcp.args

test_member_of_an_object if args.member({"a": 1}, "a") == 1

test_member_that_is_missing_is_absent if args.member({"a": 1}, "b") == null

test_member_with_a_digit_name_is_a_member_of_an_object if args.member({"0": "x"}, "0") == "x"

test_member_star_is_literal_on_an_object if args.member({"*": 7}, "*") == 7

test_member_of_an_array_by_index[segment] if {
	some segment, wanted in {
		"0": "a",
		"1": "b",
		"2": null,
		"01": null,
		"-1": null,
		"1.0": null,
		"1e0": null,
		" 1": null,
		"": null,
		"a": null,
		"99999999999999999999999": null,
		"9999999999999999": null,
	}
	args.member(["a", "b"], segment) == wanted
}

test_member_of_anything_else_is_absent if {
	every value in [null, true, 1, "abc"] {
		args.member(value, "0") == null
	}
}

test_each_element_of_an_array_in_order if args.each([3, null, "x", 3]) == [3, null, "x", 3]

test_each_of_an_empty_array_is_one_absent_value if args.each([]) == [null]

test_each_on_an_object_is_the_literal_member if args.each({"*": [1, 2], "a": 3}) == [[1, 2]]

test_each_on_an_object_without_that_member_is_absent if args.each({"a": 3}) == [null]

test_each_of_anything_else_is_absent if {
	every value in [null, false, 0, "abc"] {
		args.each(value) == [null]
	}
}
