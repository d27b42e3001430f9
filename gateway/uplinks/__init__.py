"""Northbound: one module an uplink, behind one interface (`uplink.py`)."""
