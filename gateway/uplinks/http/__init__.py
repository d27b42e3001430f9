"""Events to an HTTP server, in batches."""
