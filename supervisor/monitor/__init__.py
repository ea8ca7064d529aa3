"""The monitor: a process of its own that looks at everything once a second and serves what it saw.

A look reads the durable files and asks the supervisor (`look`); numbers that must not go back pass a tally, what only
shows over time stands in the history. From them come the verdict (`readiness`), the metrics, and what the page draws
(`view`). All are made ready once a look, as bytes (`snapshot`), so that a request costs next to nothing.
"""
