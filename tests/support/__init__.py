"""Shared test support: waiting for conditions, real brokers, the simulator, the whole system."""
