"""The Prometheus metrics of `/metrics`."""
