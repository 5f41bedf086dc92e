"""What is valid in a policy and yet hardly meant: one module per family of lints, `review` runs them all."""
