"""The publisher: sends every record from the spools to Kafka, in order, at least once or exactly once."""
