"""The HTTP server: connections, routes, the page."""
