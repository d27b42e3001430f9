"""The daemon: configuration, engine, store-and-forward, uplinks and health. `app.py` wires them."""
