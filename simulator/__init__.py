"""A server that behaves as Reddit does, with faults on demand, and that records what it really showed.

It shares no code with the rest of the repository: it is started as a process and accessed over HTTP, so that it can
check the others independently.
"""
