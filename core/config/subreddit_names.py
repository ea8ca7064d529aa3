"""Parses names of subreddits as people write them into the one form that the program uses."""

import re

from core.config.value_errors import Fault, InvalidValue

# Reddit allows 3 to 21 characters today; some old names have two. A user's profile is the subreddit u_NAME.
_NAME = re.compile(r"[A-Za-z0-9_]{2,21}|u_[A-Za-z0-9_-]{2,20}", re.ASCII)
_PREFIX = re.compile(r"^(?:https?://(?:[a-z]+\.)?reddit\.com)?/?(?P<kind>r|u|user)/", re.IGNORECASE)


def subreddits(raw: object) -> tuple[str, ...]:
    """Parse a list of names; remove "r/", "/r/" and addresses before a name, and duplicates."""
    if not isinstance(raw, list | tuple):
        hint = f": [{raw!r}]".replace("'", '"') if isinstance(raw, str) else ', such as ["Bitcoin", "ethereum"]'
        raise InvalidValue(f"must be a list of names{hint}")
    names: dict[str, str] = {}
    faults: list[Fault] = []
    for index, item in enumerate(raw, start=1):
        name = _plain(item)
        if name is None:
            faults.append(Fault(_advice(item), at=f"[{index}]", value=item))
        else:
            names.setdefault(name.casefold(), name)  # Reddit ignores case; keep the first spelling
    if faults:
        raise InvalidValue(*faults)
    return tuple(names.values())


def _plain(item: object) -> str | None:
    if not isinstance(item, str):
        return None
    name = item.strip()
    prefix = _PREFIX.match(name)
    if prefix:
        name = name[prefix.end() :].rstrip("/")
        if prefix["kind"].lower() != "r":
            name = f"u_{name}"
    return name if _NAME.fullmatch(name) else None


def _advice(item: object) -> str:
    if isinstance(item, str) and re.search(r"[+,\s]", item.strip()):
        parts = [part for part in re.split(r"[+,\s]+", item.strip()) if part]
        return "must be one name; write several as " + ", ".join(f'"{part}"' for part in parts)
    return 'must be the name of a subreddit: 2 to 21 letters, digits or underscores, such as "Bitcoin"'
