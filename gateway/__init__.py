"""The daemon: configuration, engine, store-and-forward, uplinks and health. `app.py` wires them."""

__version__ = "0.1.0"
