"""A deterministic line of machines served over real protocols, for demo and tests. Imports nothing of gateway."""
