"""The monitor: a separate process that samples the whole system once a second and serves the result.

A sample reads the durable files and the supervisor's status (`look`). Counters that must not go back pass
`MonotonicCounters`; rates and trends come from the history. From these it computes readiness, the metrics, and the
data of the page (`view`). All are encoded once per sample (`snapshot`), so a request costs almost nothing.
"""
