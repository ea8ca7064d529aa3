"""The crawl world as Reddit's JSON."""

from functools import lru_cache
from typing import Any

import orjson

from simulator.crawl.templates import Templates, Thing
from simulator.crawl.things import EPOCH, Post, Subreddit, User, user_id
from simulator.render import subreddit_id

_SITE = "https://www.reddit.com"
_HALF_AN_HOUR = 1800
_MODERATOR_ID = "6l4z3"
#: a post's own fields; the rest is from its template
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
    """Fills names and numbers into templates; posts, of which there are many, as bytes."""

    def __init__(self, templates: Templates) -> None:
        self._templates = templates
        self._fixed = [_fixed(template) for template in templates.posts]

    def post(self, post: Post) -> bytes:
        """Return `{"kind": "t3", "data": …}` of one post."""
        number = post.template % len(self._templates.posts)
        fixed, is_text, is_edited = self._fixed[number]
        bare, subreddit, created = post.bare, post.subreddit, post.created
        permalink = f"/r/{subreddit}/comments/{bare}/_/"
        edited = f"{min(created + _HALF_AN_HOUR, EPOCH)}.0" if is_edited else "false"
        author, account = _author(post)
        own_page = f',"url":"{_SITE}{permalink}","domain":"self.{subreddit}"' if is_text else ""
        # assembled by hand: nothing in these fields needs escaping, and there are a hundred posts in an answer
        fresh = (
            f'"id":"{bare}","name":"t3_{bare}","created":{created}.0,"created_utc":{created}.0,'
            f'"permalink":"{permalink}","author":"{author}"{account},"score":{post.score},"ups":{post.score},'
            f'"stickied":{"true" if post.stickied else "false"},"edited":{edited}{_place(subreddit)}{own_page}}}}}'
        )
        return fixed + fresh.encode()

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
    """Return the data of a suspended user's about: almost nothing."""
    return {
        "name": name, "is_suspended": True, "awardee_karma": 0, "awarder_karma": 0, "is_blocked": False,
        "total_karma": 0,
    }  # fmt: skip


def _author(post: Post) -> tuple[str, str]:
    """Return the name, and a post's other fields about the account."""
    if post.author is None:
        return "[deleted]", ""
    account = user_id(post.author_number) if post.author_number >= 0 else _MODERATOR_ID
    return post.author, f',"author_fullname":"t2_{account}"'


@lru_cache(maxsize=4096)
def _place(subreddit: str) -> str:
    """Render a post's fields about its subreddit."""
    profile = subreddit.startswith("u_")
    return (
        f',"subreddit":"{subreddit}","subreddit_id":"{subreddit_id(subreddit)}"'
        f',"subreddit_name_prefixed":"{f"u/{subreddit[2:]}" if profile else f"r/{subreddit}"}"'
        f',"subreddit_type":"{"user" if profile else "public"}"'
    )


def _fixed(template: Thing) -> tuple[bytes, bool, bool]:
    """Render the part that all posts of a template share, left open; return also whether it is a text, and edited."""
    is_text = bool(template.get("is_self")) or "url" not in template
    own = _FRESH | {"url", "domain"} if is_text else _FRESH
    kept = {name: value for name, value in template.items() if name not in own}
    opened = b'{"kind":"t3","data":%b' % orjson.dumps(kept)[:-1]
    return opened + (b"," if kept else b""), is_text, bool(template.get("edited"))
