"""Formats the loss ledger as text and as JSON: the proven time of each stream, and each gap. Pure."""

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.masking.external import masked
from core.spool.model import Gap, GapState
from core.status.completeness import StreamProof
from core.status.standings import gap_rank
from supervisor.display.formatting import duration, table, utc_text

_HEADINGS = ("ID", "FROM", "TO", "STATE", "FOUND")
_WIDTH = 80
_MAX_NAMED = 5

#: Most gaps in the text; JSON lists all.
MOST_GAPS = 20

_MORE = "All: --all, or --json. Fewer: --subreddit NAME, --since TIME."

_START_UNKNOWN = (
    "it is not known yet whether this is the first start: the topic has not been read (check that Kafka runs). If it"
    " contains records of this stream, the time since the newest one becomes a gap"
)


@dataclass(frozen=True, slots=True)
class Selection:
    """A part of the ledger. Times are created_utc seconds; names are lower case, an empty set means all."""

    since: float | None = None
    until: float | None = None
    subreddits: frozenset[str] = frozenset()

    def includes(self, gap: Gap) -> bool:
        """Return whether the gap, including the time where late items may be missing, overlaps this part."""
        starts = [moment for moment in (gap.start, gap.late_from) if moment is not None]
        start = min(starts) if gap.start is not None else float("-inf")
        end = float("inf") if gap.end is None else gap.end
        in_time = (self.since is None or end >= self.since) and (self.until is None or start <= self.until)
        return in_time and (not self.subreddits or bool(self.subreddits & {name.lower() for name in gap.subreddits}))

    def names(self, proof: StreamProof) -> list[str]:
        """Return the configured subreddits of this part, spelled as in the configuration."""
        return [name for name in proof.subreddits if not self.subreddits or name.lower() in self.subreddits]

    @property
    def is_all(self) -> bool:
        """Whether the part is the whole ledger."""
        return self == Selection()


def document(proofs: Mapping[str, StreamProof], selection: Selection) -> dict[str, Any]:
    """Return the output of `gaps --json`. Times are epoch seconds; `from` is 0 where nothing was proven before."""
    moments = {stream: proof.by_subreddit() for stream, proof in proofs.items()}
    return {
        "proven_until": {
            stream: {name: moments[stream][name] for name in selection.names(proof)} for stream, proof in proofs.items()
        },
        "gaps": [_as_json(gap, proof) for _, proof, gap in _selected(proofs, selection)],
    }


def report(
    proofs: Mapping[str, StreamProof],
    selection: Selection,
    now: Mapping[str, float],
    max_age: float,
    most: int | None = MOST_GAPS,
) -> list[str]:
    """Return the blocks of text that `gaps` prints; `now` is the time by Reddit's clock, for each stream.

    A proven time older than `max_age` seconds is explained. Of more than `most` gaps the worst ones are listed.
    """
    proven = "\n".join(
        line
        for stream, proof in proofs.items()
        for line in _proven(stream, proof, selection.names(proof), now[stream], max_age)
    )
    chosen = list(_selected(proofs, selection))
    if not chosen:
        part = "" if selection.is_all else " in this selection"
        return [proven, f"No gaps are recorded{part}."]
    shown = chosen if most is None or len(chosen) <= most else sorted(chosen, key=lambda one: gap_rank(one[2]))[:most]
    rows = [_as_row(gap) for _, _, gap in shown]
    aligned = table([_HEADINGS, *rows], right=(4,)).splitlines()
    lines = [aligned[0]]
    for line, (_, proof, gap) in zip(aligned[1:], shown, strict=True):
        lines += [line, *_reason(gap, proof, selection)]
    return [proven, "\n".join(lines), _count([gap for _, _, gap in chosen], len(shown))]


def _selected(proofs: Mapping[str, StreamProof], selection: Selection) -> Iterable[tuple[str, StreamProof, Gap]]:
    for stream, proof in proofs.items():
        for gap in proof.gaps:
            if selection.includes(gap):
                yield stream, proof, gap


def _spelled(gap: Gap, proof: StreamProof) -> list[str]:
    """Return the subreddits that are or were not proven, spelled as in the configuration."""
    return [proof.spelling.get(name.lower(), name) for name in gap.unproven or gap.subreddits]


def _id(gap: Gap) -> str:
    return f"{gap.stream}-{gap.id}"


def _as_json(gap: Gap, proof: StreamProof) -> dict[str, Any]:
    return {
        "id": _id(gap),
        "stream": gap.stream,
        "subreddits": _spelled(gap, proof),
        "from": 0.0 if gap.start is None else gap.start,
        "to": gap.end,
        "late_from": gap.late_from,
        "reason": masked(gap.reason),
        "state": gap.state.value,
        "found": gap.found,
        "recorded_at": gap.recorded_at,
        "closed_at": gap.closed_at,
    }


def _as_row(gap: Gap) -> tuple[str, ...]:
    start = "the beginning" if gap.start is None else utc_text(gap.start)
    end = "not ended" if gap.end is None else utc_text(gap.end)
    return _id(gap), start, end, gap.state.value, str(gap.found)


def _reason(gap: Gap, proof: StreamProof, selection: Selection) -> list[str]:
    spelled = sorted(_spelled(gap, proof), key=lambda name: name.lower() not in selection.subreddits)  # chosen first
    names = _listed([f"r/{name}" for name in spelled])
    late = "" if gap.late_from is None else f"; late items may be missing from {utc_text(gap.late_from)}"
    indent = "    "
    return textwrap.wrap(
        masked(f"{names}: {gap.reason}{late}"), _WIDTH, initial_indent=indent, subsequent_indent=indent
    )


def _proven(stream: str, proof: StreamProof, names: Sequence[str], now: float, max_age: float) -> list[str]:
    """Describe the stream's proven time and, if it is old, the subreddits that hold it back."""
    moments = {name: proof.moments.get(name.lower()) for name in names}
    endless = [name for name in names if name.lower() in proof.without_end]
    counted = {name: moment for name, moment in moments.items() if name not in endless} or moments
    known = [moment for moment in counted.values() if moment is not None]
    late = {name: moment for name, moment in counted.items() if moment is None or now - moment > max_age}
    if not known:
        lines = [f"{stream}: not proven yet: no listing has been read to its end."]
    elif len(known) < len(counted):
        lines = [f"{stream}: not proven yet for {_share(len(counted) - len(known), len(counted))}."]
    else:
        age = max(0.0, now - min(known))
        note = "; no listing was read since then" if late else ""
        if 0 < len(late) < len(counted):
            note = f"; {_share(len(late), len(counted))} not read for over {duration(max_age)}"
        lines = [f"{stream}: proven until {utc_text(min(known))}, {duration(age)} ago{note}."]
    if late and len({moment and int(moment) for moment in counted.values()}) > 1:  # otherwise all are equally old
        oldest = sorted(late.items(), key=lambda one: float("-inf") if one[1] is None else one[1])
        texts = [f"r/{name} {'never' if moment is None else utc_text(moment)}" for name, moment in oldest]
        lines += _wrapped(f"oldest: {_listed(texts)}")
    if endless:
        lines += _wrapped(f"in a gap without end: {_listed([f'r/{name}' for name in endless])}")
    if proof.unsettled:
        lines += _wrapped(_START_UNKNOWN)
    return lines


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="    ", subsequent_indent="      ", break_on_hyphens=False)


def _share(some: int, all_of_them: int) -> str:
    noun = "subreddit" if all_of_them == 1 else "subreddits"
    return f"{some:,} of {all_of_them:,} {noun}"


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _MAX_NAMED
    return ", ".join(texts) if more <= 0 else f"{', '.join(texts[:_MAX_NAMED])} and {more:,} more (see --json)"


def _count(gaps: Sequence[Gap], shown: int) -> str:
    counts = {state: sum(gap.state is state for gap in gaps) for state in GapState}
    states = ", ".join(f"{count:,} {state.value}" for state, count in counts.items() if count)
    text = f"{len(gaps):,} {'gap' if len(gaps) == 1 else 'gaps'}: {states}."
    if shown == len(gaps):
        return text
    return f"{text}\nThe {shown} worst are shown, {len(gaps) - shown:,} are not. {_MORE}"
