"""Comment trees as Reddit gives them: a post, and the best comments below it; `more` names those that were left out."""

import heapq
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from simulator.item import Item
from simulator.render import Renderer, escaped
from simulator.world import World

_DEFAULT_LIMIT = 200
_HIGHEST_LIMIT = 500
_DEEPEST = 10
_MOST_CHILDREN = 100

Thing = dict[str, Any]
_Key = tuple[float, float]


@dataclass(frozen=True, slots=True)
class TreeRequest:
    """How many comments are wanted, how deep, and in which order."""

    limit: int = _DEFAULT_LIMIT
    depth: int = _DEEPEST
    sort: str = "confidence"
    raw: bool = False

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "TreeRequest":
        """Read the parameters; an invalid one counts as missing."""
        return cls(
            _between(query.get("limit"), _DEFAULT_LIMIT, _HIGHEST_LIMIT),
            _between(query.get("depth"), _DEEPEST, _DEEPEST),
            query.get("sort", "confidence"),
            query.get("raw_json") == "1",
        )


class Trees:
    """Builds trees from the items of a world."""

    def __init__(self, world: World, renderer: Renderer) -> None:
        self._world = world
        self._renderer = renderer

    def page(self, post: Item, root: Item | None, asked: TreeRequest) -> bytes:
        """Render the two listings of a post's page; `root`: only this comment and the replies below it."""
        roots = self._children(post.fullname) if root is None else [root]
        head = _listing([{"kind": "t3", "data": self._renderer.data(post)}], 1)
        comments = _listing(self._things(roots, self._choose(roots, asked), asked, 0))
        body = orjson.dumps([head, comments])
        return body if asked.raw else escaped(body)

    def more(self, post: Item, children: Iterable[str], asked: TreeRequest) -> bytes:
        """Render the comments that a `more` named, with their replies, as a flat list."""
        found = (self._world.find(f"t1_{name}") for name in list(children)[:_MOST_CHILDREN])
        roots = [item for item in found if item is not None and item.link == post.fullname and self._visible(item)]
        asked = TreeRequest(min(asked.limit, _MOST_CHILDREN), asked.depth, asked.sort, asked.raw)
        things = self._things(roots, self._choose(roots, asked), asked, self._depth(roots[0]) if roots else 0)
        body = orjson.dumps({"json": {"errors": [], "data": {"things": list(_flat(things))}}})
        return body if asked.raw else escaped(body)

    def _visible(self, item: Item) -> bool:
        """Return whether a tree shows an item; a removed one only holds the place of its replies."""
        return item.exists and (item.removed_at is None or bool(self._children(item.fullname)))

    def _children(self, fullname: str) -> list[Item]:
        return [item for item in self._world.replies.get(fullname, ()) if self._visible(item)]

    def _choose(self, roots: list[Item], asked: TreeRequest) -> set[Item]:
        """Return the comments that are shown: at each step the best one whose parent is shown."""
        key = self._order(asked.sort)
        waiting = [(*key(item), item.serial, 0, item) for item in roots]
        heapq.heapify(waiting)
        chosen: set[Item] = set()
        while waiting and len(chosen) < asked.limit:
            *_, depth, item = heapq.heappop(waiting)
            chosen.add(item)
            if depth + 1 < asked.depth:
                for child in self._children(item.fullname):
                    heapq.heappush(waiting, (*key(child), child.serial, depth + 1, child))
        return chosen

    def _order(self, sort: str) -> Callable[[Item], _Key]:
        if sort == "new":
            return lambda item: (-item.created, 0.0)
        if sort == "old":
            return lambda item: (item.created, 0.0)
        return lambda item: (-self._renderer.score(item), item.created)

    def _things(
        self, items: list[Item], chosen: set[Item], asked: TreeRequest, shift: int, level: int = 0
    ) -> list[Thing]:
        """Return the chosen comments of one parent with their replies, and a `more` for the others."""
        if items and level >= asked.depth:
            return [_continued(items[0].parent, shift + level)]
        key = self._order(asked.sort)
        things = []
        for item in sorted((item for item in items if item in chosen), key=lambda item: (*key(item), item.serial)):
            below = self._things(self._children(item.fullname), chosen, asked, shift, level + 1)
            data = self._renderer.data(item) | {"depth": shift + level, "replies": _listing(below) if below else ""}
            things.append({"kind": "t1", "data": data})
        rest = [item for item in items if item not in chosen]
        return [*things, self._more(rest, shift + level)] if rest else things

    def _more(self, rest: list[Item], depth: int) -> Thing:
        ids = [item.fullname.partition("_")[2] for item in rest]
        below = list(rest)
        count = 0
        while below:
            count += 1
            below += self._children(below.pop().fullname)
        return {
            "kind": "more",
            "data": {
                "count": count, "name": f"t1_{ids[0]}", "id": ids[0], "parent_id": rest[0].parent, "depth": depth,
                "children": ids,
            },
        }  # fmt: skip

    def _depth(self, item: Item) -> int:
        depth = 0
        while item.parent in self._world.items and item.parent != item.link:
            item = self._world.items[item.parent]
            depth += 1
        return depth


def _listing(things: list[Thing], count: int | None = None) -> Thing:
    data = {"after": None, "before": None, "dist": count, "modhash": None, "geo_filter": "", "children": things}
    return {"kind": "Listing", "data": data}


def _continued(parent: str, depth: int) -> Thing:
    """Return the link to replies that are too deep to show."""
    data = {"count": 0, "name": "t1__", "id": "_", "parent_id": parent, "depth": depth, "children": []}
    return {"kind": "more", "data": data}


def _flat(things: list[Thing]) -> Iterable[Thing]:
    for thing in things:
        replies = thing["data"].get("replies")
        yield {"kind": thing["kind"], "data": thing["data"] | {"replies": ""}} if replies else thing
        if replies:
            yield from _flat(replies["data"]["children"])


def _between(text: str | None, default: int, highest: int) -> int:
    try:
        value = int(text) if text is not None else default
    except ValueError:
        return default
    return min(value, highest) if value > 0 else default
