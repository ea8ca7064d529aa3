"""Items as JSON: each is rendered once, from a template's fixed part and its own fields."""

import zlib
from collections.abc import Iterable
from typing import Any

import orjson

from simulator.item import Item, Kind
from simulator.listing import Page
from simulator.texts import Texts

_FRESH = frozenset(
    {
        "id",
        "name",
        "created",
        "created_utc",
        "subreddit",
        "subreddit_id",
        "subreddit_name_prefixed",
        "permalink",
        "link_id",
        "parent_id",
        "link_permalink",
        "replies",
    }
)


class Renderer:
    """Renders items to the bytes that a listing contains."""

    def __init__(self, texts: Texts, reddit_url: str = "https://www.reddit.com") -> None:
        self._texts = texts
        self._site = reddit_url
        self._kept = {kind: [_kept(template) for template in texts.of(kind)] for kind in Kind}
        self._fixed = {kind: [_opened(kept) for kept in self._kept[kind]] for kind in Kind}

    def thing(self, item: Item) -> bytes:
        """Return `{"kind": …, "data": …}` of one item; of a plain one only its own fields are stored with it."""
        plain = item.plain
        if item.rendered is None:
            item.rendered = orjson.dumps(self._fresh(item) if plain else self.data(item))
        if not plain:
            return b'{"kind":"%b","data":%b}' % (item.kind.prefix.encode(), item.rendered)
        fixed = self._fixed[item.kind]
        return b'{"kind":"%b","data":%b%b}' % (
            item.kind.prefix.encode(), fixed[item.template % len(fixed)], item.rendered[1:],
        )  # fmt: skip

    def data(self, item: Item) -> dict[str, Any]:
        """Return all fields of an item as they are now."""
        data = self.original(item)
        if item.num_comments is not None:
            data["num_comments"] = item.num_comments
        if item.later is not None:
            item.later.apply(data, post=item.kind is Kind.SUBMISSIONS)
        return data

    def score(self, item: Item) -> float:
        """Return the present score; 0 if an injected item has none."""
        if item.later is not None and item.later.score is not None:
            return item.later.score
        kept = self._kept[item.kind]
        score = (item.custom or kept[item.template % len(kept)]).get("score")
        return score if isinstance(score, int) else 0

    def original(self, item: Item) -> dict[str, Any]:
        """Return all fields of an item as it was created."""
        if item.custom is not None:
            return dict(item.custom)
        kept = self._kept[item.kind]
        return kept[item.template % len(kept)] | self._fresh(item)

    def page(self, page: Page, *, raw: bool) -> bytes:
        """Render a page of a listing."""
        return listing((self.thing(item) for item in page.items), page.after, page.before, raw=raw)

    def _fresh(self, item: Item) -> dict[str, Any]:
        bare = item.fullname.partition("_")[2]
        fresh: dict[str, Any] = {
            "id": bare,
            "name": item.fullname,
            "created": item.created_utc,
            "created_utc": item.created_utc,
            "subreddit": item.subreddit,
            "subreddit_id": subreddit_id(item.subreddit),
            "subreddit_name_prefixed": f"r/{item.subreddit}",
        }
        if item.kind is Kind.COMMENTS:
            link = item.link.partition("_")[2]
            thread = f"/r/{item.subreddit}/comments/{link}/_/"
            return fresh | {
                "link_id": item.link,
                "parent_id": item.parent,
                "permalink": f"{thread}{bare}/",
                "link_permalink": f"{self._site}{thread}",
                "replies": "",
            }
        permalink = f"/r/{item.subreddit}/comments/{bare}/_/"
        template = self._texts.submissions[item.template % len(self._texts.submissions)]
        own_page = {"url": f"{self._site}{permalink}"} if template.get("is_self") or "url" not in template else {}
        return fresh | {"permalink": permalink} | own_page


def listing(things: Iterable[bytes], after: str | None = None, before: str | None = None, *, raw: bool = True) -> bytes:
    """Join rendered things into a Listing; without `raw`, strings are HTML-escaped as Reddit does by default."""
    rendered = list(things)
    children = b",".join(rendered)
    if not raw:
        children = escaped(children)
    frame = {"after": after, "before": before, "dist": len(rendered), "modhash": None}
    return b'{"kind":"Listing","data":%b,"children":[%b]}}' % (orjson.dumps(frame)[:-1], children)


def escaped(json: bytes) -> bytes:
    """Escape the strings in rendered JSON for HTML: its structure uses none of the three characters."""
    return json.replace(b"&", b"&amp;").replace(b"<", b"&lt;").replace(b">", b"&gt;")


def subreddit_id(name: str) -> str:
    """Return a subreddit's fullname, always the same for the same name."""
    return f"t5_{zlib.crc32(name.lower().encode()):x}"


def _kept(template: dict[str, Any]) -> dict[str, Any]:
    """Return the part of an item that all uses of a template share."""
    kept = {name: value for name, value in template.items() if name not in _FRESH and name != "url"}
    if "url" in template and not template.get("is_self"):
        kept["url"] = template["url"]
    return kept


def _opened(kept: dict[str, Any]) -> bytes:
    """Render an open object that ends with a comma."""
    return (orjson.dumps(kept)[:-1] + b",") if kept else b"{"
