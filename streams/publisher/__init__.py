"""From the spools to Kafka: every record, in order, at least once or exactly once."""
