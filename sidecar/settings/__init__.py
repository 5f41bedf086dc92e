"""What an operator may set: the one model of it, and how it is read. Starts nothing."""
