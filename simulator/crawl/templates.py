"""Generated subreddits, posts, users and rules, for use without real samples: current shapes.

Their texts are as people write them: in several scripts, with problematic characters, sometimes too long.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_POSTS = 300
_SUBREDDITS = 60
_USERS = 60
_RULES = 80
_KINDS = ("link", "comment", "all")
_FLAIRS = (None, None, None, "DISCUSSION", "🟢 ANALYSIS", "Meta & <rules>")
_VOCABULARY = (
    "the a this that my your our some any no every about after before into over under with without because coin "
    "chain block wallet exchange market price fee ledger node miner stake yield protocol token bridge layer buy sell "
    "hold trade watch wait lose earn move send receive lock burn mint audit explain question doubt trust today "
    "yesterday tomorrow again never always slowly quickly honestly apparently 10% 0.05 ETH BTC $100k"
)
_PLAIN_WORDS = _VOCABULARY.split()
_ODD_WORDS = (
    "🚀", "₿", "naïve", "über", "价格", "ビットコイン", "מחיר", "السعر", "👩🏽‍💻", "e\u0301", "\u200b", "\u2028",
    "\ufeff", '"quoted"', "it's", "back\\slash", "a\tb", "<b>", "&amp;", "R&D", "%s", "{}", "null",
    "'; DROP TABLE reddit_posts; --", "[link](https://x.example/?a=1&b=2)", "\U0001f1e9\U0001f1ea", "ﷺ", "\x7f",
)  # fmt: skip
_LONGEST_TEXT = 40_000  #: characters, Reddit's own limit

Thing = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Templates:
    """The templates of all things; each thing takes one of its kind and fills in its own names."""

    subreddits: tuple[Thing, ...]
    posts: tuple[Thing, ...]
    users: tuple[Thing, ...]
    rules: tuple[Thing, ...]


def complete(found: Mapping[str, Sequence[Thing]], seed: int) -> Templates:
    """Return real things as templates where there are some (by their prefix), made-up ones otherwise."""
    dice = random.Random(f"crawl templates {seed}")
    return Templates(
        subreddits=tuple(found.get("t5", ())) or tuple(_subreddit(dice) for _ in range(_SUBREDDITS)),
        posts=tuple(found.get("t3", ())) or tuple(_post(dice, number) for number in range(_POSTS)),
        users=tuple(found.get("t2", ())) or tuple(_user(dice) for _ in range(_USERS)),
        rules=tuple(_rule(dice, number) for number in range(_RULES)),
    )


def _yes(dice: random.Random, share: float) -> bool:
    return dice.random() < share


def _subreddit(dice: random.Random) -> Thing:
    text = odd_text(dice, dice.randint(20, 200))
    picture = f"https://styles.redditmedia.example/{dice.randrange(10**6)}/icon.png?width=256&s=ab"
    return {
        "accept_followers": True, "accounts_active": None, "accounts_active_is_fuzzed": False,
        "active_user_count": dice.choice((None, dice.randrange(20_000))), "advertiser_category": "",
        "all_original_content": False, "allow_discovery": True, "allow_galleries": _yes(dice, 0.7),
        "allow_images": _yes(dice, 0.8), "allow_polls": _yes(dice, 0.5), "allow_predictions": False,
        "allow_talks": False, "allow_videogifs": True, "allow_videos": _yes(dice, 0.7),
        "allowed_media_in_comments": ["giphy"], "banner_background_color": "#24a0ed",
        "banner_background_image": picture if _yes(dice, 0.5) else "", "banner_img": picture if _yes(dice, 0.3) else "",
        "banner_size": None, "can_assign_link_flair": False, "can_assign_user_flair": True,
        "collapse_deleted_comments": True, "comment_score_hide_mins": dice.choice((0, 60)),
        "community_icon": picture if _yes(dice, 0.6) else "", "community_reviewed": True, "description": text,
        "description_html": f"<!-- SC_OFF --><div class=\"md\"><p>{text}</p></div><!-- SC_ON -->",
        "disable_contributor_requests": False, "emojis_custom_size": None, "emojis_enabled": False,
        "free_form_reports": True, "has_menu_widget": True, "header_img": None, "header_size": None,
        "header_title": dice.choice(("", None, "& more")), "hide_ads": False,
        "icon_img": picture if _yes(dice, 0.4) else "", "icon_size": None, "is_crosspostable_subreddit": True,
        "is_enrolled_in_new_modmail": None, "key_color": "", "lang": dice.choice(("en", "en", "de", "pt-BR")),
        "link_flair_enabled": True, "link_flair_position": "left", "mobile_banner_image": "",
        "notification_level": None, "original_content_tag_enabled": False, "over18": _yes(dice, 0.1),
        "prediction_leaderboard_entry_type": 2, "primary_color": "", "public_description": odd_text(dice, 12),
        "public_description_html": None, "public_traffic": False, "quarantine": False, "restrict_commenting": False,
        "restrict_posting": _yes(dice, 0.7), "should_archive_posts": True,
        "should_show_media_in_comments_setting": True, "show_media": True, "show_media_preview": True,
        "spoilers_enabled": _yes(dice, 0.8), "submission_type": dice.choice(("any", "link", "self")),
        "submit_link_label": "", "submit_text": dice.choice(("", odd_text(dice, 10))), "submit_text_html": None,
        "submit_text_label": None, "subreddit_type": dice.choice(("public", "public", "public", "restricted")),
        "suggested_comment_sort": None, "title": odd_text(dice, 5), "user_can_flair_in_sr": None,
        "user_flair_background_color": None, "user_flair_css_class": None, "user_flair_enabled_in_sr": True,
        "user_flair_position": "right", "user_flair_richtext": [], "user_flair_template_id": None,
        "user_flair_text": None, "user_flair_text_color": None, "user_flair_type": "text",
        "user_has_favorited": False, "user_is_banned": False, "user_is_contributor": False,
        "user_is_moderator": False, "user_is_muted": False, "user_is_subscriber": False,
        "user_sr_flair_enabled": None, "user_sr_theme_enabled": True, "videostream_links_count": 0,
        "whitelist_status": "all_ads", "wiki_enabled": dice.choice((True, True, False, None)), "wls": 6,
    }  # fmt: skip


def _post(dice: random.Random, number: int) -> Thing:
    form = dice.choices(("self", "link", "image", "video", "crosspost", "gallery"), (55, 20, 12, 6, 4, 3))[0]
    text = odd_text(dice, dice.choice((0, 5, 40, 120))) if form == "self" else ""
    if number == 0:
        form, text = "self", _longest_text(dice)
    flair = dice.choice(_FLAIRS)
    awards = dice.choice((0, 0, 0, 3))
    return _where(form, dice) | {
        "all_awardings": [], "allow_live_comments": False, "approved_at_utc": None, "approved_by": None,
        "archived": _yes(dice, 0.1), "author_flair_background_color": None, "author_flair_css_class": None,
        "author_flair_richtext": [], "author_flair_template_id": None, "author_flair_text": dice.choice(_FLAIRS),
        "author_flair_text_color": None, "author_flair_type": "text", "author_is_blocked": False,
        "author_patreon_flair": False, "author_premium": _yes(dice, 0.1), "awarders": [], "banned_at_utc": None,
        "banned_by": None, "can_gild": False, "can_mod_post": False, "category": None, "clicked": False,
        "content_categories": None, "contest_mode": False, "discussion_type": None,
        "distinguished": dice.choice((None,) * 20 + ("moderator", "admin")), "downs": 0, "edited": _yes(dice, 0.15),
        "gilded": 0, "gildings": {}, "hidden": False, "hide_score": _yes(dice, 0.1), "is_created_from_ads_ui": False,
        "is_crosspostable": False, "is_meta": False, "is_original_content": _yes(dice, 0.05),
        "is_reddit_media_domain": form in {"image", "video"}, "is_robot_indexable": True, "is_self": form == "self",
        "is_video": form == "video", "likes": None, "link_flair_background_color": "", "link_flair_css_class": None,
        "link_flair_richtext": [{"e": "text", "t": flair}] if flair else [], "link_flair_text": flair,
        "link_flair_text_color": "dark", "link_flair_type": "richtext" if flair else "text",
        "locked": _yes(dice, 0.05), "media_embed": {}, "media_only": False, "mod_note": None, "mod_reason_by": None,
        "mod_reason_title": None, "mod_reports": [], "no_follow": _yes(dice, 0.2),
        "num_comments": int(dice.paretovariate(0.6)) % 200_000, "num_crossposts": dice.choice((0, 0, 0, 1, 7)),
        "num_reports": None, "over_18": _yes(dice, 0.05), "parent_whitelist_status": "all_ads", "pinned": False,
        "pwls": 6, "quarantine": False, "removal_reason": None, "removed_by": None, "removed_by_category": None,
        "report_reasons": None, "saved": False, "secure_media_embed": {}, "selftext": text,
        "selftext_html": f"<!-- SC_OFF --><div class=\"md\"><p>{text}</p></div><!-- SC_ON -->" if text else None,
        "send_replies": True, "spoiler": _yes(dice, 0.03), "subreddit_subscribers": dice.randrange(10**7),
        "suggested_sort": None, "thumbnail": "self" if form == "self" else "default",
        "title": odd_text(dice, dice.randint(2, 14)), "top_awarded_type": None, "total_awards_received": awards,
        "treatment_tags": [], "upvote_ratio": None if _yes(dice, 0.03) else round(dice.uniform(0.2, 1.0), 2),
        "user_reports": [], "view_count": None, "visited": False, "whitelist_status": "all_ads", "wls": 6,
    }  # fmt: skip


def _where(form: str, dice: random.Random) -> Thing:
    """Return the fields for a post's content; a text's own address is filled in where it is served."""
    serial = dice.randrange(10**8)
    if form == "self":
        return {"media": None, "secure_media": None}
    if form == "video":
        video = {"reddit_video": {"bitrate_kbps": 2400, "duration": serial % 300, "height": 720, "is_gif": False}}
        url = f"https://v.redd.it/{serial:x}"
        kind = {"domain": "v.redd.it", "post_hint": "hosted:video"}
        return kind | {"media": video, "secure_media": video, "url": url, "url_overridden_by_dest": url}
    domain = {"image": "i.redd.it", "gallery": "reddit.com"}.get(form, "news.example")
    url = f"https://{domain}/{serial:x}?a=1&b=<2>"
    shown: Thing = {"domain": domain, "url": url, "url_overridden_by_dest": url, "media": None, "secure_media": None}
    if form == "gallery":
        return shown | {"is_gallery": True, "gallery_data": {"items": [{"media_id": f"{serial:x}", "id": serial}]}}
    if form == "crosspost":
        parent = {"id": f"{serial:x}", "name": f"t3_{serial:x}", "title": odd_text(dice, 5), "subreddit": "Elsewhere"}
        return shown | {"crosspost_parent": parent["name"], "crosspost_parent_list": [parent]}
    return shown | {"post_hint": "image" if form == "image" else "link"}


def _user(dice: random.Random) -> Thing:
    icon = f"https://styles.redditmedia.example/t5_{dice.randrange(10**6):x}/avatar.png?width=256&s=cd"
    over_18 = _yes(dice, 0.1)
    profile = {
        "accept_followers": True, "allowed_media_in_comments": [], "banner_img": "", "banner_size": None,
        "community_icon": None, "default_set": True, "description": "", "disable_contributor_requests": False,
        "free_form_reports": True, "header_img": None, "icon_color": "", "icon_img": icon, "icon_size": [256, 256],
        "is_default_banner": True, "is_default_icon": False, "key_color": "", "link_flair_enabled": False,
        "over_18": over_18, "previous_names": [], "primary_color": "", "quarantine": False, "restrict_posting": True,
        "show_media": True, "submit_link_label": "", "submit_text_label": "", "subreddit_type": "user",
        "public_description": dice.choice(("", odd_text(dice, 8))), "subscribers": 0, "title": odd_text(dice, 2),
    }  # fmt: skip
    return {
        "accept_chats": True, "accept_followers": True, "accept_pms": True, "awardee_karma": dice.randrange(5000),
        "awarder_karma": dice.randrange(500), "has_subscribed": True, "has_verified_email": _yes(dice, 0.9),
        "hide_from_robots": _yes(dice, 0.2), "icon_img": icon, "is_blocked": False, "is_employee": _yes(dice, 0.02),
        "is_friend": False, "is_gold": _yes(dice, 0.1), "is_mod": _yes(dice, 0.3), "pref_show_snoovatar": False,
        "snoovatar_img": "", "snoovatar_size": None, "subreddit": None if _yes(dice, 0.05) else profile,
        "verified": _yes(dice, 0.95),
    }  # fmt: skip


def _rule(dice: random.Random, number: int) -> Thing:
    text = dice.choice(("", odd_text(dice, dice.randint(5, 60))))
    short = odd_text(dice, dice.randint(2, 8))
    return {
        "kind": dice.choice(_KINDS), "description": text, "short_name": short,
        "violation_reason": dice.choice((short, short, "", odd_text(dice, 3))),
        "created_utc": 1_400_000_000.0 + number * 3_600_000,
        "description_html": f"<div class=\"md\"><p>{text}</p></div>" if text else "",
    }  # fmt: skip


def odd_text(dice: random.Random, words: int) -> str:
    """Return this many words in paragraphs, one in twelve of them odd."""
    chosen = [dice.choice(_ODD_WORDS) if dice.random() < 1 / 12 else dice.choice(_PLAIN_WORDS) for _ in range(words)]
    paragraphs = [" ".join(chosen[start : start + 40]) for start in range(0, len(chosen), 40)]
    return "\n\n".join(paragraphs)


def _longest_text(dice: random.Random) -> str:
    """Return a text of the greatest length that Reddit allows."""
    return odd_text(dice, 9000)[:_LONGEST_TEXT]
