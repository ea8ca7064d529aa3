"""Prints the end of the demo: the injected faults, both proofs, the result."""

import json
import textwrap
from collections.abc import Sequence
from pathlib import Path

from core.errors import ExitCode
from supervisor.demo import changes_proof
from supervisor.demo.changes_proof import ChangesProof
from supervisor.demo.crawl_proof import CrawlProof, lines
from supervisor.demo.later_changes import LATEST
from supervisor.demo.proof import Proof
from supervisor.demo.screen import Screen
from supervisor.demo.script_thread import ScriptThread

_WIDTH = 120


def report(script_thread: ScriptThread, code: ExitCode, screen: Screen, directory: Path) -> ExitCode:
    """Print it, store the evidence of a failed proof, and return the exit code."""
    streams, changes, crawl = script_thread.proof, script_thread.changes_proof, script_thread.crawl_proof
    if streams is None or changes is None or crawl is None:
        screen.say(f"NO RESULT: {script_thread.failure or 'the processes ended before the check'}")
        return code or ExitCode.GAVE_UP
    screen.say(f"\nInjected faults: {script_thread.script.injected()}")
    _print_streams(streams, screen)
    _print_changes(changes, screen)
    _print_crawl(crawl, screen)
    screen.say(textwrap.fill(f"Audit of random items: {script_thread.audit}", _WIDTH, subsequent_indent="  "))
    failures = [*_of_streams(streams, directory), *_of_changes(changes, directory), *_of_crawl(crawl, directory)]
    if crawl.left and not script_thread.script.cut_short:
        failures.append(f"the crawl did not finish: {crawl.left:,} subreddits are left")
    screen.say(f"RESULT: {'; '.join(failures) or 'nothing lost.'}")
    return ExitCode.GAVE_UP if failures else code


def _print_streams(proof: Proof, screen: Screen) -> None:
    numbers = [
        ("shown", proof.shown, "items that the simulated Reddit showed"),
        ("delivered", proof.delivered, "of these, found in the topic"),
        ("lost", proof.lost, "shown but not in the topic, or never shown and in no recorded gap"),
        ("duplicated", proof.duplicated, "further records of the same item"),
        ("gaps", proof.gaps, f"recorded and not repaired; {proof.unseen} items in them were never shown"),
    ]
    screen.say("Streams, compared with the topic:")
    for name, number, meaning in numbers:
        screen.say(f"  {name:<11}{number:>8,}   {meaning}")


def _print_changes(proof: ChangesProof, screen: Screen) -> None:
    screen.say("Later changes, compared with the topics of changes and of the newest states:")
    for line in changes_proof.lines(proof, LATEST):
        screen.say(line)


def _print_crawl(proof: CrawlProof, screen: Screen) -> None:
    screen.say("Scraper, compared with the database:")
    for line in lines(proof):
        screen.say(line)


def _of_streams(proof: Proof, directory: Path) -> list[str]:
    if proof.holds:
        return []
    evidence = _keep(directory / "lost.ndjson", [json.dumps(item) for item in proof.missing])
    return [f"{proof.lost} lost, {proof.unknown} unknown. Details of each item: {evidence}"]


def _of_changes(proof: ChangesProof, directory: Path) -> list[str]:
    if proof.holds:
        return []
    evidence = _keep(directory / "changes.ndjson", [json.dumps(line) for line in proof.evidence])
    numbers = f"{proof.missing:,} missing, {proof.false:,} false, {proof.lost - proof.tombstones:,} without a tombstone"
    return [f"later changes: {numbers}. Details: {evidence}"]


def _of_crawl(proof: CrawlProof, directory: Path) -> list[str]:
    if proof.holds:
        return []
    evidence = _keep(directory / "scraper.ndjson", proof.evidence)
    numbers = ", ".join(f"{proof.total(name):,} {name}" for name in ("missing", "wrong", "unknown"))
    return [f"rows of the scraper: {numbers}. Details of each row: {evidence}"]


def _keep(path: Path, content: Sequence[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in content), encoding="utf-8")
    return path
