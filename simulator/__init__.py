"""A server that behaves as Reddit does, with faults on demand, and that remembers what it truly showed.

It shares no code with the rest of the repository: it is started as a process and spoken to over HTTP, so that it can
judge the others.
"""
