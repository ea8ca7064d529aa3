"""Kafka as a sink: both delivery guarantees, committed positions, health."""
