"""What lies between the machines of a line."""
