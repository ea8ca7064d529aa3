"""Memory that processes occupy: PSS counts a page that n of them share as 1/n for each."""

from pathlib import Path


def pss_mib(pid: int) -> float:
    """Return the proportional set size of a process, in MiB."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"/proc/{pid}/smaps_rollup has no Pss line: PSS needs Linux 4.14 or newer")
