"""The crawl world as Reddit's JSON."""

from typing import Any

import orjson

from simulator.crawl.templates import Templates, Thing
from simulator.crawl.world import EPOCH, Post, Subreddit, User, user_id
from simulator.render import subreddit_id

_SITE = "https://www.reddit.com"
_HALF_AN_HOUR = 1800
#: what every post has of its own; the rest is its template's
_FRESH = frozenset(
    {
        "id",
        "name",
        "created",
        "created_utc",
        "subreddit",
        "subreddit_id",
        "subreddit_name_prefixed",
        "subreddit_type",
        "permalink",
        "author",
        "author_fullname",
        "score",
        "ups",
        "stickied",
        "edited",
    }
)
_SITE_RULES = ["Spam", "Personal and confidential information", "Threatening, harassing, or inciting violence"]


class CrawlRenderer:
    """Puts names and numbers into templates; posts, of which there are many, as bytes."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._fixed = [_fixed(template) for template in templates.posts]

    def post(self, post: Post) -> bytes:
        """`{"kind": "t3", "data": …}` of one post."""
        number = post.template % len(self._fixed)
        template, bare, subreddit = self._templates.posts[number], post.bare, post.subreddit
        permalink = f"/r/{subreddit}/comments/{bare}/_/"
        fresh: dict[str, Any] = {
            "id": bare,
            "name": f"t3_{bare}",
            "created": float(post.created),
            "created_utc": float(post.created),
            "subreddit": subreddit,
            "subreddit_id": subreddit_id(subreddit),
            "subreddit_name_prefixed": f"u/{subreddit[2:]}" if subreddit[:2] == "u_" else f"r/{subreddit}",
            "subreddit_type": "user" if subreddit[:2] == "u_" else "public",
            "permalink": permalink,
            "author": post.author or "[deleted]",
            "score": post.score,
            "ups": post.score,
            "stickied": post.stickied,
            "edited": float(min(post.created + _HALF_AN_HOUR, EPOCH)) if template.get("edited") else False,
        }
        if post.author is not None:
            fresh["author_fullname"] = f"t2_{user_id(post.author_number)}" if post.author_number >= 0 else "t2_6l4z3"
        if _is_text(template):
            fresh["url"] = f"{_SITE}{permalink}"
            fresh["domain"] = f"self.{subreddit}"
        return b'{"kind":"t3","data":%b%b}' % (self._fixed[number], orjson.dumps(fresh)[1:])

    def subreddit(self, subreddit: Subreddit) -> Thing:
        """Return the data of a subreddit's about."""
        template = self._templates.subreddits[subreddit.created % len(self._templates.subreddits)]
        fullname, name = subreddit_id(subreddit.name), subreddit.name
        restricted = template.get("subreddit_type") == "restricted"
        return template | {
            "id": fullname.removeprefix("t5_"),
            "name": fullname,
            "display_name": name,
            "display_name_prefixed": f"r/{name}",
            "url": f"/r/{name}/",
            "created": float(subreddit.created),
            "created_utc": float(subreddit.created),
            "subscribers": subreddit.subscribers,
            "subreddit_type": "restricted" if restricted else "public",
        }

    def rules(self, subreddit: Subreddit) -> dict[str, Any]:
        """Return the answer to a subreddit's about/rules."""
        templates, first = self._templates.rules, subreddit.created
        rules = [templates[(first + 7 * place) % len(templates)] for place in range(subreddit.rules)]
        return {
            "rules": [rule | {"priority": place} for place, rule in enumerate(rules)],
            "site_rules": _SITE_RULES,
            "site_rules_flow": [{"reasonTextToShow": "This is spam", "reasonText": "This is spam"}],
        }

    def user(self, user: User) -> Thing:
        """Return the data of a user's about."""
        template = self._templates.users[user.created % len(self._templates.users)]
        data = template | {
            "id": user_id(user.number),
            "name": user.name,
            "created": float(user.created),
            "created_utc": float(user.created),
            "link_karma": user.link_karma,
            "comment_karma": user.comment_karma,
            "total_karma": user.link_karma + user.comment_karma,
        }
        profile = template.get("subreddit")
        if isinstance(profile, dict):
            names = {"display_name": f"u_{user.name}", "display_name_prefixed": f"u/{user.name}"}
            address = {"name": subreddit_id(f"u_{user.name}"), "url": f"/user/{user.name}/"}
            data["subreddit"] = profile | names | address
        return data


def suspended(name: str) -> Thing:
    """Return the data of a suspended user's about: next to nothing."""
    return {
        "name": name, "is_suspended": True, "awardee_karma": 0, "awarder_karma": 0, "is_blocked": False,
        "total_karma": 0,
    }  # fmt: skip


def _is_text(template: Thing) -> bool:
    return bool(template.get("is_self")) or "url" not in template


def _fixed(template: Thing) -> bytes:
    """Render the part that all posts of a template share: an open object that ends in a comma."""
    own = _FRESH | {"url", "domain"} if _is_text(template) else _FRESH
    kept = {name: value for name, value in template.items() if name not in own}
    return (orjson.dumps(kept)[:-1] + b",") if kept else b"{"
