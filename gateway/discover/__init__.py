"""`linegate discover`: looks at a device and proposes its part of a configuration. The daemon imports none of it."""
