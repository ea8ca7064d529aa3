"""What the tests share: waiting for conditions, real brokers, the simulator, the whole system."""
