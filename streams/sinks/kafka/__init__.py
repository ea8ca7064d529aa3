"""The Kafka sink: both delivery guarantees, committed positions, health."""
