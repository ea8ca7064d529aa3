"""Formats the audit's statement as text: the sentence first, then what it rests on and what it does not cover. Pure."""

import textwrap
from collections.abc import Iterable, Mapping

from core.status.audit_bound import LISTING, AuditReport, Outcomes, StreamBound
from core.status.audit_sentence import sentence, share
from supervisor.display.formatting import plural, table

_WIDTH = 80
_MAX_NAMED = 10
_NONE = "-"
_HEADINGS = ("STREAM", "SOURCE", "SAMPLED", "FOUND", "MISSING", "IN GAPS", "REMOVED", "AT MOST")

#: What each source is.
SOURCES = {
    "trees": "comment trees of random captured posts",
    "ids": "posts with random ids",
    LISTING: "each subreddit's own listing, at random depths",
    "archive": "counts of an archive",
}

_NOT_COVERED = (
    "items that were removed before anybody could read them, and items younger than the sample",
    "time in gaps of the ledger (`gaps` lists it), and time that is not proven yet",
    "losses that are concentrated in busy hours weigh less: each hour of the time counts alike",
)


def audit_text(report: AuditReport, configured: Iterable[str], unused: Mapping[str, Mapping[str, str]]) -> str:
    """Return the whole text of `audit`.

    Args:
        report: the statement.
        configured: the configured subreddits.
        unused: by stream: the sources that were not used, each with the reason.
    """
    blocks = [textwrap.fill(sentence(report), _WIDTH, break_on_hyphens=False)]
    if report.sampled:
        blocks += [_table(report), "\n".join(_details(report))]
    blocks += ["\n".join(_scope(report, configured, unused)), _listed("Not covered:", _NOT_COVERED)]
    return "\n\n".join(filter(None, blocks))


def _table(report: AuditReport) -> str:
    rows = [_HEADINGS]
    for name, bound in report.streams.items():
        rows += [(name, source, *_numbers(outcomes), "") for source, outcomes in bound.sources.items()]
        if bound.outcomes.sampled:
            rows.append((name, "all", *_numbers(bound.outcomes), share(bound.at_most) if bound.draws else _NONE))
    return table(rows, right=range(2, len(_HEADINGS)))


def _numbers(outcomes: Outcomes) -> tuple[str, str, str, str, str]:
    found, missing, in_gaps, removed = (f"{number:,}" for number in outcomes)
    return f"{outcomes.sampled:,}", found, missing, in_gaps, removed


def _details(report: AuditReport) -> Iterable[str]:
    for name, bound in report.sampled.items():
        yield from _wrapped(f"{name}: {_rests_on(bound)}")
    outcomes = report.outcomes
    if outcomes.missing_in_gaps:
        is_are = "is" if outcomes.missing_in_gaps == 1 else "are"
        yield from _wrapped(
            f"{plural(outcomes.missing_in_gaps, 'missing item')} {is_are} in gaps that the ledger has: not counted."
        )
    if outcomes.removed_first:
        is_are = "was" if outcomes.removed_first == 1 else "were"
        yield from _wrapped(
            f"{plural(outcomes.removed_first, 'item')} {is_are} removed, and nothing shows that a listing ever had "
            "them: not counted."
        )
    if missing := _missing_by_subreddit(report):
        yield from _wrapped(f"missing by subreddit: {missing}")


def _rests_on(bound: StreamBound) -> str:
    sources = "; ".join(SOURCES.get(one, one) for one in bound.rests_on)
    draws = plural(bound.draws, "independent draw")
    return f"the bound rests on {draws} ({sources})."


def _missing_by_subreddit(report: AuditReport) -> str:
    total: dict[str, Outcomes] = {}
    for bound in report.streams.values():
        for name, outcomes in bound.subreddits.items():
            total[name] = total.get(name, Outcomes()).plus(outcomes)
    worst = sorted((one for one in total if total[one].missing), key=lambda one: (-total[one].missing, one.lower()))
    return _named([f"r/{name} {total[name].missing:,} of {total[name].sampled:,}" for name in worst])


def _scope(report: AuditReport, configured: Iterable[str], unused: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    sampled = {name.lower() for bound in report.streams.values() for name in bound.subreddits}
    names = list(configured)
    seen = [name for name in names if name.lower() in sampled]
    unseen = [name for name in names if name.lower() not in sampled]
    if seen:
        yield from _wrapped(f"Sampled: {len(seen):,} of {len(names):,} subreddits: {_named(_prefixed(seen))}.")
    if seen and unseen:
        yield from _wrapped(f"No item sampled of: {_named(_prefixed(unseen))}.")
    for name, bound in report.streams.items():
        if report.sampled and not bound.draws:
            yield from _wrapped(f"The statement does not cover {name}: nothing of it was sampled.")
    for stream, sources in unused.items():
        for source, why in sources.items():
            yield from _wrapped(f"{stream}: the source {source} was not used: {why}.")


def _prefixed(names: Iterable[str]) -> list[str]:
    return [f"r/{name}" for name in names]


def _named(texts: list[str]) -> str:
    more = len(texts) - _MAX_NAMED
    return ", ".join(texts) if more <= 0 else f"{', '.join(texts[:_MAX_NAMED])} and {more:,} more"


def _listed(head: str, texts: Iterable[str]) -> str:
    lines = [head]
    for text in texts:
        lines += textwrap.wrap(text, _WIDTH, initial_indent="  - ", subsequent_indent="    ", break_on_hyphens=False)
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent="  ", break_on_hyphens=False)
