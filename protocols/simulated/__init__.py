"""A deterministic line of machines served over real protocols, for the demo and the tests. Imports nothing of gateway."""
