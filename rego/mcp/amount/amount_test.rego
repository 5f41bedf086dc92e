package mcp.amount_test

import data.mcp.amount

test_countable_numbers if {
	every value in [0, 1, 0.1, 12345678901234567890, 1e400] {
		amount.countable(value) == true
	}
}

test_not_countable if {
	every value in [null, -1, -0.1, -1e-400, "5", true, [1], {"a": 1}] {
		amount.countable(value) == false
	}
}
