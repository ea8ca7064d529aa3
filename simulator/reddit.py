"""Reddit's side: the meaning of a request, and Reddit's answer without faults."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from simulator.answer import Answer, blocked, error, redirect, too_many, unauthorized
from simulator.crawl.api import CrawlApi
from simulator.crawl.crawl_paths import CrawlRequest, limit_of
from simulator.crawl.things import State
from simulator.faults import Endpoint
from simulator.item import Item, Kind
from simulator.listing import Page
from simulator.render import Renderer, listing, subreddit_id
from simulator.served_quota import Quota
from simulator.tokens import Tokens
from simulator.trees import TreeRequest, Trees
from simulator.world import Subreddit, World

TOKEN_PATH = "/api/v1/access_token"  # noqa: S105 -- a path

_LISTING = re.compile(r"/r/([A-Za-z0-9_+]+)/(new|comments)(?:\.json)?/?")
_INFO = re.compile(r"/api/info(?:\.json)?/?")
_TREE = re.compile(r"/(?:r/([A-Za-z0-9_]+)/)?comments/([a-z0-9]+)(?:/[^/]*(?:/([a-z0-9]+))?)?(?:\.json)?/?")
_MORE = re.compile(r"/api/morechildren(?:\.json)?/?")
_MOST_NAMES = 100
_KINDS = {"new": Kind.SUBMISSIONS, "comments": Kind.COMMENTS}
_STATUS = {State.PRIVATE: 403, State.QUARANTINED: 403, State.BANNED: 404}


def endpoint(path: str) -> Endpoint:
    """Return the kind of endpoint of a path."""
    if path.rstrip("/") == TOKEN_PATH:
        return Endpoint.TOKEN
    return Endpoint.LISTING if _LISTING.fullmatch(path) else Endpoint.OTHER


def counted_path(path: str) -> str:
    """Return the name under which a path is counted: all trees together, for there are many."""
    return "(tree)" if _TREE.fullmatch(path) else path


@dataclass(frozen=True, slots=True)
class Anonymous:
    """Requests to plain `.json` addresses without a token are answered; each client address has a quota."""

    quota: Quota | None = None


class Reddit:
    """Answers requests; handles no sockets and no faults."""

    def __init__(
        self,
        world: World,
        renderer: Renderer,
        tokens: Tokens,
        quota: Quota,
        *,
        crawl: CrawlApi,
        announced_lifetime: float,
        lenient_combined: bool = False,
        anonymous: Anonymous | None = None,
    ) -> None:
        self.world = world
        self._crawl = crawl
        self._anonymous = anonymous
        self.tokens = tokens
        self.quota = quota
        self._renderer = renderer
        self._trees = Trees(world, renderer)
        self._announced_lifetime = announced_lifetime
        self._lenient = lenient_combined

    def token(self, authorization: str | None, grant_type: str, now: float) -> Answer:
        """Answer a token request."""
        token = self.tokens.issue(authorization, now)
        if token is None:
            return error(401)
        if grant_type != "client_credentials":
            return Answer(body=b'{"error":"unsupported_grant_type"}')
        lifetime = int(self._announced_lifetime)
        grant = {"access_token": token, "token_type": "bearer", "expires_in": lifetime, "scope": "*"}
        return Answer(body=orjson.dumps(grant))

    def data(
        self,
        path: str,
        query: Mapping[str, str],
        authorization: str | None,
        now: float,
        *,
        asked: CrawlRequest | None = None,
        remote: str = "",
        fractional_reset: bool = False,
    ) -> Answer:
        """Answer a data request; count it for the client, or, without a token, for its address.

        `asked` is the question about the crawl world, if the path is one.
        """
        if authorization is None:
            return self._without_token(path, query, asked, remote, now)
        client = self.tokens.client(authorization, now)
        if client is None:
            return unauthorized()
        usage = self.quota.charge(client, now)
        answer = self._content(path, query, asked) if usage.allowed else too_many()
        return answer.with_headers(usage.headers(fractional_reset=fractional_reset))

    def _without_token(
        self, path: str, query: Mapping[str, str], asked: CrawlRequest | None, remote: str, now: float
    ) -> Answer:
        if self._anonymous is None or not path.rstrip("/").endswith(".json"):
            return blocked()
        if self._anonymous.quota is None:
            return self._content(path, query, asked)
        usage = self._anonymous.quota.charge(remote, now)
        answer = self._content(path, query, asked) if usage.allowed else too_many()
        return answer.with_headers(usage.headers())

    def places(self, path: str, items: tuple[Item, ...]) -> range:
        """Return the places, counted from 1, that a page's items have in their listing now."""
        match = _LISTING.fullmatch(path)
        found = self._resolve(match[1]) if match else error(404)
        if match is None or isinstance(found, Answer) or not items:
            return range(0)
        first = self.world.listing(_KINDS[match[2]], found).place(items[0])
        return range(0) if first is None else range(first + 1, first + 1 + len(items))

    def empty(self, answer: Answer) -> Answer:
        """Return a listing's answer without items."""
        if answer.status != 200:
            return answer
        return Answer(body=listing(()), headers=answer.headers)

    def _content(self, path: str, query: Mapping[str, str], asked: CrawlRequest | None) -> Answer:
        if asked is not None:
            return self._crawl.answer(asked)
        if match := _LISTING.fullmatch(path):
            return self._listing(match[1], _KINDS[match[2]], query)
        if _INFO.fullmatch(path):
            return self._info(query)
        if match := _TREE.fullmatch(path):
            return self._tree(match[1], match[2], match[3], query)
        if _MORE.fullmatch(path):
            return self._more_children(query)
        return error(404)

    def _listing(self, names: str, kind: Kind, query: Mapping[str, str]) -> Answer:
        found = self._resolve(names)
        if isinstance(found, Answer):
            return found
        page = self._page(kind, found, query)
        body = self._renderer.page(page, raw=query.get("raw_json") == "1")
        return Answer(body=body, items=page.items)

    def _page(self, kind: Kind, subreddits: list[Subreddit], query: Mapping[str, str]) -> Page:
        combined = self.world.listing(kind, subreddits)
        limit = limit_of(query.get("limit"))
        if after := query.get("after"):
            return combined.after(self._anchor(after, kind), limit)
        if before := query.get("before"):
            return combined.before(self._anchor(before, kind), limit)
        return combined.newest(limit)

    def _anchor(self, fullname: str, kind: Kind) -> Item | None:
        item = self.world.items.get(fullname)
        return item if item is not None and item.kind is kind else None

    def _info(self, query: Mapping[str, str]) -> Answer:
        if "sr_name" in query:
            return self._subreddits_info(query)
        names = [name for name in query.get("id", "").split(",") if name]
        if len(names) > _MOST_NAMES:
            # Reddit refuses the parameter, not the request
            names = []
        for name in names:
            self.world.log.looked(name)
        items = [item for item in map(self.world.find, names) if item is not None and self._readable(item)]
        things = map(self._renderer.thing, items)
        return Answer(body=listing(things, raw=query.get("raw_json") == "1"))

    def _readable(self, item: Item) -> bool:
        return self.world.subreddits[item.subreddit.lower()].open

    def _tree(self, subreddit: str | None, post: str, comment: str | None, query: Mapping[str, str]) -> Answer:
        """Answer with a post and the comments below it, or below one of them."""
        item = self.world.find(f"t3_{post}")
        if item is None:
            return error(404)
        home = self.world.subreddits[item.subreddit.lower()]
        if not home.open:
            return _refusal(home.name, home)
        if subreddit is not None and subreddit.lower() != home.name.lower():
            return redirect(f"/r/{home.name}/comments/{post}/")
        root = self.world.find(f"t1_{comment}") if comment else None
        if comment and (root is None or root.link != item.fullname):
            return error(404)
        return Answer(body=self._trees.page(item, root, TreeRequest.read(query)))

    def _more_children(self, query: Mapping[str, str]) -> Answer:
        """Answer with the comments that a tree left out."""
        item = self.world.find(query.get("link_id", ""))
        if item is None or item.kind is not Kind.SUBMISSIONS or not self._readable(item):
            return error(404)
        children = [name for name in query.get("children", "").split(",") if name]
        return Answer(body=self._trees.more(item, children, TreeRequest.read(query)))

    def _subreddits_info(self, query: Mapping[str, str]) -> Answer:
        """Return the known subreddits of `sr_name`, in its order; banned and missing ones are left out."""
        names = [name.lower() for name in query["sr_name"].split(",") if name][:_MOST_NAMES]
        known = [self.world.subreddits[name] for name in names if name in self.world.subreddits]
        told = [one for one in known if one.state not in {State.BANNED, State.MISSING}]
        return Answer(body=listing(map(_about, told), raw=query.get("raw_json") == "1"))

    def _resolve(self, names: str) -> list[Subreddit] | Answer:
        """Return the subreddits of `A+B`, or the refusal that one of them causes for the whole request."""
        known = self.world.subreddits
        wanted = {name.lower(): name for name in names.split("+") if name}
        if list(wanted) == ["all"] and "all" not in known:
            return [subreddit for subreddit in known.values() if subreddit.open]
        found = [known[key] for key in wanted if key in known and known[key].open]
        closed = [key for key in wanted if key not in known or not known[key].open]
        if closed and not (self._lenient and found):
            return _refusal(wanted[closed[0]], known.get(closed[0]))
        return found or error(404)


def _about(subreddit: Subreddit) -> bytes:
    """Render the short form of a subreddit."""
    data = {
        "name": subreddit_id(subreddit.name),
        "display_name": subreddit.name,
        "subreddit_type": "private" if subreddit.state is State.PRIVATE else "public",
        "quarantine": subreddit.state is State.QUARANTINED,
    }
    return orjson.dumps({"kind": "t5", "data": data})


def _refusal(name: str, subreddit: Subreddit | None) -> Answer:
    if subreddit is None or subreddit.state is State.MISSING:
        return redirect(f"/subreddits/search?q={subreddit.name if subreddit else name}")
    return error(_STATUS[subreddit.state], subreddit.state)
