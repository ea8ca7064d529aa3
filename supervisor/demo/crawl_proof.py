"""The scraper's proof: what the simulated Reddit holds, held against what stands in the database. Pure."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from supervisor.demo.crawl_world import POSTS, RULES, SUBREDDITS, USERS, Rows, Tables

TABLES = (SUBREDDITS, RULES, POSTS, USERS)


@dataclass(frozen=True, slots=True)
class Count:
    """One table."""

    held: int = 0  #: rows that the simulated Reddit holds and the configuration asks for
    saved: int = 0  #: of them in the database
    missing: int = 0  #: of them not there
    wrong: int = 0  #: saved, with a value that is not the one that was served
    unknown: int = 0  #: in the database, and nobody asked for it


@dataclass(frozen=True, slots=True)
class CrawlProof:
    """The outcome, in numbers, and the evidence where it fails."""

    counts: dict[str, Count]
    odd: dict[str, Counter[str]] = field(default_factory=dict)  #: states of the subreddits and users that are closed
    left: int = 0  #: subreddits that the crawl had no time for; their rows are not counted as held
    evidence: tuple[str, ...] = field(default=(), repr=False)  #: a line of JSON each

    def total(self, name: str) -> int:
        """Add up one of the numbers over all tables."""
        return sum(getattr(count, name) for count in self.counts.values())

    @property
    def holds(self) -> bool:
        """Whether nothing is missing, nothing wrong and nothing made up."""
        return not any(self.total(name) for name in ("missing", "wrong", "unknown"))


def prove_crawl(held: Tables, anywhere: Tables, saved: Tables, left: int = 0) -> CrawlProof:
    """Compare row by row. `anywhere` is all that the crawl may come to, `held` what it has come to."""
    counts, evidence = {}, []
    for table in TABLES:
        there, right = saved[table], held[table]
        missing = [key for key in right if key not in there]
        wrong = {key: found for key, row in right.items() if key in there and (found := _wrong(row, key, there))}
        unknown = [key for key in there if key not in anywhere[table] and key not in right]
        counts[table] = Count(len(right), len(right) - len(missing), len(missing), len(wrong), len(unknown))
        evidence += [_line(table, key, "missing") for key in missing]
        evidence += [_line(table, key, "unknown") for key in unknown]
        evidence += [_line(table, key, "wrong", values) for key, values in wrong.items()]
    return CrawlProof(counts, _odd(held), left, tuple(evidence))


def _odd(held: Tables) -> dict[str, Counter[str]]:
    """Count what cannot be read as others can, by its state."""
    usual = {SUBREDDITS: "open", USERS: "active"}
    return {
        table: Counter(sorted(str(row["state"]) for row in held[table].values() if row["state"] != state))
        for table, state in usual.items()
    }


def _wrong(row: dict[str, object], key: str, there: Rows) -> dict[str, object]:
    """Give the columns whose value is another one: what it is, and what it should be."""
    return {name: [there[key].get(name), value] for name, value in row.items() if there[key].get(name) != value}


def _line(table: str, key: str, what: str, values: dict[str, object] | None = None) -> str:
    return json.dumps({"table": table, "key": key, "what": what, **({"saved_and_held": values} if values else {})})


def lines(proof: CrawlProof) -> Iterator[str]:
    """Lay the proof out, a number of each table a line."""
    meanings = {
        "held": "by the simulated Reddit, as far as the configuration asks for it",
        "saved": "in the database",
        "missing": "not in the database",
        "wrong": "saved with another value than was served",
    }
    yield "  " + " " * 9 + "".join(f"{table:>12}" for table in TABLES)
    for name, meaning in meanings.items():
        numbers = "".join(f"{getattr(proof.counts[table], name):>12,}" for table in TABLES)
        yield f"  {name:<9}{numbers}   {meaning}"
    odd = [f"{table}: {_listed(states)}" for table, states in proof.odd.items() if states]
    if odd:
        yield f"  among them {'; '.join(odd)}"
    if proof.left:
        yield f"  The crawl was cut short: {proof.left:,} subreddits were still to visit and are left out here."


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
