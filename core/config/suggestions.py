"""Suggests the known key that a misspelt one most likely means."""

from collections.abc import Collection

_CLOSE = 0.6


def nearest_key(key: str, known: Collection[str]) -> str:
    """Return the nearest key: the same word in another table, else a close sibling, else the best anywhere."""
    table, _, leaf = key.rpartition(".")
    misplaced = [other for other in known if likeness(leaf, other.rpartition(".")[2]) == 1.0]
    if misplaced:
        return max(misplaced, key=lambda other: likeness(key, other))
    siblings = [other for other in known if other.rpartition(".")[0] == table]
    if siblings:
        best = nearest(leaf, {other.rpartition(".")[2]: other for other in siblings})
        if likeness(leaf, best.rpartition(".")[2]) >= _CLOSE:
            return best
    # In the wrong table, or in none: the last word is more significant than the table.
    return max(known, key=lambda other: (likeness(leaf, other.rpartition(".")[2]), likeness(key, other)))


def nearest(word: str, known: dict[str, str]) -> str:
    """Return the value under the most similar name."""
    return known[max(known, key=lambda other: likeness(word, other))]


def likeness(one: str, other: str) -> float:
    """Return the similarity of two names, 0 to 1, ignoring case and word separators."""
    from difflib import SequenceMatcher  # noqa: PLC0415 (memory of every process, for a mistake of few)

    first, second = (word.casefold().replace("-", "_") for word in (one, other))
    return SequenceMatcher(None, first, second).ratio()
