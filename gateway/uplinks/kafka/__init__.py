"""Events to a topic of a Kafka cluster."""
