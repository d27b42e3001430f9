"""Recordings: the engine's inputs, from which a replay decides again what the daemon has decided."""
