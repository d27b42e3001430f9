"""What operators say of a line: entries that are checked, kept as long as figures can change, and laid over them."""
