"""`python -m bench`: every benchmark figure, with its target and a baseline from the same run."""

import argparse
import os
import platform
import sys
import time

from bench import changes, cluster, drain, dumps, live, pages, polls, scale, start_stop, tenfold
from bench.figure import Section
from bench.scraper import calls, core, crawl, leases, rows
from bench.supervision import hangs, recovery, stops, storm, together
from core.process.core_dumps import SWITCH

SECTIONS = (
    Section("pages", "Capture: pages of 100 into the durable spool, one core", pages.measure),
    Section("polls", "Capture: CPU of a poll at 100, 1,000 and 10,000 subreddits", polls.measure),
    Section("scale", "1,200 and 5,000 subreddits on one machine, quota 100 a minute", scale.measure),
    Section("drain", "Publisher: a full spool to the broker", drain.measure),
    Section("changes", f"Later changes: {changes.ITEMS:,} items that wait for a look", changes.measure),
    Section("dumps", "Dumps: lines to records, one core", dumps.measure),
    Section("start", "Start and stop", start_stop.measure),
    Section(
        "live", "20 items a second, 2 % late, 3 % removed, 5 % 503, 3 % resets, 3 % bad JSON, 2 % HTML", live.measure
    ),
    Section("cluster", "Two machines on Apache Kafka: takeovers, 60 items a second", cluster.measure),
    Section("tenfold", "200 items a second, 1,000 requests a minute", tenfold.measure),
    Section("calls", "Scraper: one subreddit's five calls, at Reddit's latencies", calls.measure),
    Section("crawl", "Scraper: three proxies, twenty connections each, at Reddit's latencies", crawl.measure),
    Section("proxies", "Scraper: from one proxy to four, at Reddit's latencies", crawl.measure_proxies),
    Section("core", "Scraper: one core, no latency", core.measure),
    Section("rows", "Scraper: rows into the database", rows.measure),
    Section("leases", "Scraper: a lease beside skipped rows", leases.measure),
    Section("growth", "Scraper: memory over 2,000 subreddits", crawl.measure_growth),
    Section("kills", "Whole system: a killed child is RUNNING again, first kill", recovery.measure),
    Section(
        "hangs", f"Whole system: a hung child is replaced, with heartbeat_timeout = {hangs.TIMEOUT:g}", hangs.measure
    ),
    Section("stops", f"Whole system: SIGTERM to exit, with shutdown_timeout = {stops.TIMEOUT:g}", stops.measure),
    Section(
        "whole", "Whole system, 50 items per second: pages, memory, and the supervisor's own CPU", together.measure
    ),
    Section("storm", "Whole system: one child is killed repeatedly, its siblings keep their pace", storm.measure),
)


def main() -> int:
    """Measure and print the requested sections; the exit code is 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(one.name for one in SECTIONS))
    wanted = parser.parse_args().sections
    unknown = set(wanted) - {one.name for one in SECTIONS}
    if unknown:
        parser.error(
            f"unknown section {', '.join(sorted(unknown))}: known are {', '.join(one.name for one in SECTIONS)}"
        )
    os.environ.setdefault(SWITCH, "1")  # without it only root can read the shared memory of the processes
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", flush=True)
    missed = 0
    for section in SECTIONS:
        if wanted and section.name not in wanted:
            continue
        began = time.monotonic()
        figures = section.measure()
        print(f"\n{section.title} ({time.monotonic() - began:.0f} s)")
        for figure in figures:
            print(figure.line(), flush=True)
        missed += sum(figure.met is False for figure in figures)
    print(f"\n{missed} targets missed" if missed else "\nevery target met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
