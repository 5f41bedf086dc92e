"""Where grants are kept, and what a token looks like."""
