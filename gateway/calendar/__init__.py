"""When a line is meant to produce: shifts, breaks, holidays and maintenance as spans of UTC."""
