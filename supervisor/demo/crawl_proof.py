"""Compares the database with the simulated Reddit: the scraper's proof. Pure."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from supervisor.demo.crawl_world import POSTS, RULES, SUBREDDITS, USERS, Rows, Tables

TABLES = (SUBREDDITS, RULES, POSTS, USERS)


@dataclass(frozen=True, slots=True)
class Count:
    """The comparison of one table."""

    held: int = 0  #: rows of the simulated Reddit that the configuration selects
    saved: int = 0  #: of these, in the database
    missing: int = 0  #: of these, missing
    wrong: int = 0  #: stored with a value other than the served one
    unknown: int = 0  #: in the database without being selected


@dataclass(frozen=True, slots=True)
class CrawlProof:
    """The result in numbers, with the evidence of failures."""

    counts: dict[str, Count]
    unusual: dict[str, Counter[str]] = field(default_factory=dict)  #: states of the closed subreddits and users
    left: int = 0  #: subreddits not visited in time; their rows do not count
    evidence: tuple[str, ...] = field(default=(), repr=False)  #: one line of JSON each

    def total(self, name: str) -> int:
        """Return the sum of one number over all tables."""
        return sum(getattr(count, name) for count in self.counts.values())

    @property
    def holds(self) -> bool:
        """Whether nothing is missing, wrong or invented."""
        return not any(self.total(name) for name in ("missing", "wrong", "unknown"))


def prove_crawl(held: Tables, anywhere: Tables, saved: Tables, left: int = 0) -> CrawlProof:
    """Compare row by row. `anywhere` holds all that the crawl may reach, `held` what it has reached."""
    counts, evidence = {}, []
    for table in TABLES:
        stored, right = saved[table], held[table]
        missing = [key for key in right if key not in stored]
        wrong = {key: found for key, row in right.items() if key in stored and (found := _wrong(row, key, stored))}
        unknown = [key for key in stored if key not in anywhere[table] and key not in right]
        counts[table] = Count(len(right), len(right) - len(missing), len(missing), len(wrong), len(unknown))
        evidence += [_line(table, key, "missing") for key in missing]
        evidence += [_line(table, key, "unknown") for key in unknown]
        evidence += [_line(table, key, "wrong", values) for key, values in wrong.items()]
    return CrawlProof(counts, _unusual_states(held), left, tuple(evidence))


def _unusual_states(held: Tables) -> dict[str, Counter[str]]:
    """Count the closed names by state."""
    usual = {SUBREDDITS: "open", USERS: "active"}
    return {
        table: Counter(sorted(str(row["state"]) for row in held[table].values() if row["state"] != state))
        for table, state in usual.items()
    }


def _wrong(row: dict[str, object], key: str, stored: Rows) -> dict[str, object]:
    """Return the differing columns: the stored and the expected value."""
    return {name: [stored[key].get(name), value] for name, value in row.items() if stored[key].get(name) != value}


def _line(table: str, key: str, what: str, values: dict[str, object] | None = None) -> str:
    return json.dumps({"table": table, "key": key, "what": what, **({"saved_and_held": values} if values else {})})


def lines(proof: CrawlProof) -> Iterator[str]:
    """Return the proof as text, one number of each table per line."""
    meanings = {
        "held": "in the simulated Reddit, and selected by the configuration",
        "saved": "in the database",
        "missing": "not in the database",
        "wrong": "saved with a value that differs from the served one",
    }
    yield "  " + " " * 9 + "".join(f"{table:>12}" for table in TABLES)
    for name, meaning in meanings.items():
        numbers = "".join(f"{getattr(proof.counts[table], name):>12,}" for table in TABLES)
        yield f"  {name:<9}{numbers}   {meaning}"
    unusual = [f"{table}: {_listed(states)}" for table, states in proof.unusual.items() if states]
    if unusual:
        yield f"  including {'; '.join(unusual)}"
    if proof.left:
        yield f"  The crawl was cut short: {proof.left:,} subreddits were not visited, and are not counted here."


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
