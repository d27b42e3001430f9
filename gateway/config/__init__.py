"""The configuration file: typed frozen sections, and every problem of a file with its place."""
