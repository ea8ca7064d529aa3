"""Several machines, the Kafka side: membership of the group, the shards' state in its topic, and who delivers a row."""
