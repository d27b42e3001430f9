"""Decoding and change detection in Cython: bytes of a protocol into a table of signals. Imports nothing of ours."""
