"""Events to a NATS server's JetStream."""
