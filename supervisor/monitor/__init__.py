"""The monitor: a separate process that samples the whole system once a second and serves the result.

A sample reads the durable files and the supervisor's status (`sampling`). Counters that must not go back pass
`MonotonicCounters`; rates and trends come from the history. From these the monitor computes the reasons against
readiness (`readiness`), the metrics (`metrics`) and the data of the page. All answers are encoded once per sample
(`snapshot`), so a request (`web`) costs almost nothing.
"""
