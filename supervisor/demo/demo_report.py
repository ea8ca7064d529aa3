"""Prints the end of the demo: the injected faults, both proofs, the result."""

import json
from collections.abc import Sequence
from pathlib import Path

from core.errors import ExitCode
from supervisor.demo.crawl_proof import CrawlProof, lines
from supervisor.demo.proof import Proof
from supervisor.demo.screen import Screen
from supervisor.demo.script_thread import ScriptThread


def report(performance: ScriptThread, code: ExitCode, screen: Screen, directory: Path) -> ExitCode:
    """Print it, store the evidence of a failed proof, and return the exit code."""
    streams, crawl = performance.proof, performance.crawl_proof
    if streams is None or crawl is None:
        screen.say(f"NO PROOF: {performance.failure or 'the processes ended before'}")
        return code or ExitCode.GAVE_UP
    screen.say(f"\nMet on the way: {performance.script.met()}")
    _tell_streams(streams, screen)
    _tell_crawl(crawl, screen)
    failures = [*_of_streams(streams, directory), *_of_crawl(crawl, directory)]
    if crawl.left and not performance.script.hurried:
        failures.append(f"the crawl did not come to its end: {crawl.left:,} subreddits are left")
    screen.say(f"VERDICT: {'; '.join(failures) or 'nothing lost.'}")
    return ExitCode.GAVE_UP if failures else code


def _tell_streams(proof: Proof, screen: Screen) -> None:
    numbers = [
        ("shown", proof.shown, "items that the simulated Reddit showed us"),
        ("delivered", proof.delivered, "of them read back from the topic"),
        ("lost", proof.lost, "shown and not in the topic, or missed outside every recorded gap"),
        ("duplicated", proof.duplicated, "records beyond the first of an item"),
        ("gaps", proof.gaps, f"recorded; {proof.unseen} items inside them were never shown"),
    ]
    screen.say("Proof of the streams, read back from the topic:")
    for name, number, meaning in numbers:
        screen.say(f"  {name:<11}{number:>8,}   {meaning}")


def _tell_crawl(proof: CrawlProof, screen: Screen) -> None:
    screen.say("Proof of the scraper, read back from the database:")
    for line in lines(proof):
        screen.say(line)


def _of_streams(proof: Proof, directory: Path) -> list[str]:
    if proof.holds:
        return []
    evidence = _keep(directory / "lost.ndjson", [json.dumps(item) for item in proof.missing])
    return [f"{proof.lost} lost, {proof.unknown} unknown. What the simulator knows of them: {evidence}"]


def _of_crawl(proof: CrawlProof, directory: Path) -> list[str]:
    if proof.holds:
        return []
    evidence = _keep(directory / "scraper.ndjson", proof.evidence)
    numbers = ", ".join(f"{proof.total(name):,} {name}" for name in ("missing", "wrong", "unknown"))
    return [f"rows of the scraper: {numbers}. Each of them: {evidence}"]


def _keep(path: Path, content: Sequence[str]) -> Path:
    path.write_text("".join(f"{line}\n" for line in content), encoding="utf-8")
    return path
