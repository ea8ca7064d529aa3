"""The crawl world's answers: those of Reddit without faults."""

from collections import OrderedDict
from collections.abc import Sequence

import orjson

from simulator.answer import Answer, error, redirect
from simulator.crawl.crawl_paths import Address, CrawlRequest
from simulator.crawl.crawl_render import CrawlRenderer, suspended
from simulator.crawl.served_world import CrawlWorld
from simulator.crawl.things import Post, State, UserState
from simulator.render import escaped, listing

_STATUS = {State.PRIVATE: 403, State.QUARANTINED: 403, State.BANNED: 404}


class CrawlApi:
    """Answers requests about the crawl world; handles no tokens and no faults."""

    def __init__(self, world: CrawlWorld, renderer: CrawlRenderer, cache: int = 64 * 1024 * 1024) -> None:
        self.world = world
        self.renderer = renderer
        self._kept: OrderedDict[tuple[int, CrawlRequest], bytes] = OrderedDict()
        self._bytes = 0
        self._most_bytes = cache

    def answer(self, asked: CrawlRequest) -> Answer:
        """Answer one request."""
        world, name = self.world, asked.name
        if asked.address.of_user:
            number = world.user_number(name)
            state = UserState.MISSING if number is None else world.user_state(number)
            if number is None or state is UserState.MISSING:
                return error(404)
            if state is UserState.SUSPENDED:
                return error(403) if asked.address is Address.SUBMITTED else _suspended(world.names.user(number))
        else:
            number = world.subreddit_number(name)
            if number is None:
                return redirect(f"/subreddits/search?q={name}")
            closed = world.state(number)
            if closed is State.MISSING:
                return redirect(f"/subreddits/search?q={world.name(number)}")
            if closed is not State.PUBLIC:
                return error(_STATUS[closed], closed)
        return Answer(body=self._body(number, asked), asked=asked)

    def _body(self, number: int, asked: CrawlRequest) -> bytes:
        # the spelling of the question is not part of the answer
        key = (number, asked._replace(name=""))
        body = self._kept.get(key)
        if body is not None:
            self._kept.move_to_end(key)
            return body
        body = self._kept[key] = self._render(number, asked)
        self._bytes += len(body)
        while self._bytes > self._most_bytes:
            self._bytes -= len(self._kept.popitem(last=False)[1])
        return body

    def _render(self, number: int, asked: CrawlRequest) -> bytes:
        renderer = self.renderer
        match asked.address:
            case Address.ABOUT:
                return _plain({"kind": "t5", "data": renderer.subreddit(self.world.subreddit(number))}, raw=asked.raw)
            case Address.RULES:
                return _plain(renderer.rules(self.world.subreddit(number)), raw=asked.raw)
            case Address.USER:
                return _plain({"kind": "t2", "data": renderer.user(self.world.user(number))}, raw=asked.raw)
        return self._listing(self._posts(number, asked), asked)

    def _posts(self, number: int, asked: CrawlRequest) -> Sequence[Post]:
        """Return the whole listing from which a page is requested."""
        if asked.address is Address.SUBMITTED:
            return self.world.submitted(number)
        subreddit = self.world.subreddit(number)
        if asked.address is Address.HOT:
            return [subreddit.posts[place] for place in subreddit.hot]
        return subreddit.top(asked.days)

    def _listing(self, posts: Sequence[Post], asked: CrawlRequest) -> bytes:
        start = 0
        if asked.after is not None:
            places = {f"t3_{post.bare}": place for place, post in enumerate(posts)}
            start = places.get(asked.after, len(posts)) + 1
        page = posts[start : start + asked.limit]
        after = f"t3_{page[-1].bare}" if start + asked.limit < len(posts) else None
        return listing(map(self.renderer.post, page), after, raw=asked.raw)


def _plain(content: object, *, raw: bool) -> bytes:
    body = orjson.dumps(content)
    return body if raw else escaped(body)


def _suspended(name: str) -> Answer:
    return Answer(body=orjson.dumps({"kind": "t2", "data": suspended(name)}))
