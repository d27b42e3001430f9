"""The daemon's control socket: how commands beside a running daemon ask it."""
