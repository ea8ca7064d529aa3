"""A subreddit's rules, from `/r/NAME/about/rules`."""

from datetime import datetime

from scraper.parse.fields import Field, read
from scraper.reddit.rows import Rule
from scraper.reddit.thing import no

_FIELDS: tuple[Field, ...] = (
    ("short_name", str),
    ("description", str),
    ("violation_reason", str),
    ("kind", str),
    ("priority", int),
    ("created_utc", datetime),
)


def rules(payload: object, name: str, fetched_at: datetime) -> list[Rule]:
    """Parse the rules in their order. Raises BadAnswer when the answer contains no list of rules.

    An invalid rule keeps its place, as an empty row: the places of the others are their keys.
    """
    found = payload.get("rules") if type(payload) is dict else None
    if type(found) is not list:
        raise no("list of rules", payload)
    return [
        Rule._make((name, position, fetched_at, *read(rule if type(rule) is dict else {}, _FIELDS)))
        for position, rule in enumerate(found)
    ]
