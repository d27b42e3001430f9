"""Replay: recordings through the engine under any configuration, faster than time."""
