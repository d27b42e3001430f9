"""Southbound: one package a protocol, behind one interface (`driver.py`). Imports `ext` only."""
