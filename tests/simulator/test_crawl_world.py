"""What exists in the crawl world follows from the seed alone, and hangs together."""

import pytest

from simulator.crawl.made_up_names import Names
from simulator.crawl.served_world import CrawlWorld
from simulator.crawl.things import DAY, EPOCH, Post, State, UserState
from simulator.settings import CrawlSettings

GIVEN = ("Alpha", "Beta")
SMALL = CrawlSettings(subreddits=60)


def world(settings: CrawlSettings = SMALL, seed: int = 7) -> CrawlWorld:
    return CrawlWorld(settings, GIVEN, seed)


def every_post(place: CrawlWorld) -> list[Post]:
    listed = [post for number in place.subreddit_numbers() for post in place.subreddit(number).posts]
    return listed + [post for number in range(place.user_count) for post in place.submitted(number)]


@pytest.mark.parametrize("spell", [str, str.lower, str.upper])
def test_names_lead_back_to_their_number_in_any_spelling(spell: type[str]) -> None:
    names = Names(GIVEN, 1)
    for number in (0, 1, 2, 35, 36, 1295, 99_999):
        assert names.subreddit_number(spell(names.subreddit(number))) == number
        assert names.user_number(spell(names.user(number))) == number
        assert len(names.subreddit(number)) <= 21
        assert len(names.user(number)) <= 20


@pytest.mark.parametrize(
    "name", ["", "_", "Gamma", "alpha_0", "CoinTalk_", "CoinTalk_-1", "CoinTalk_ÄÄ", "Brave-whale-!"]
)
def test_other_names_are_nobodys(name: str) -> None:
    assert Names(GIVEN, 1).subreddit_number(name) is None
    assert Names(GIVEN, 1).user_number(name) is None


def test_the_same_seed_makes_the_same_world_whatever_was_asked_before() -> None:
    one, other = world(), world()
    other.submitted(5)
    assert [one.subreddit(number) for number in range(9)] == [other.subreddit(number) for number in reversed(range(9))][
        ::-1
    ]
    assert one.submitted(5) == other.submitted(5)
    assert one.subreddit(0) != world(seed=8).subreddit(0)


def test_a_post_is_the_same_wherever_it_stands_and_ids_are_never_shared() -> None:
    place, known = world(), dict[str, Post]()
    for post in every_post(place):
        assert known.setdefault(post.bare, post) == post
        assert len(post.bare) == 7
    assert all(place.post(bare) == post for bare, post in list(known.items())[::97])
    assert place.post("zzzzzzz") is None
    assert place.post("a00000000") is None


def test_every_limit_has_more_than_enough_in_a_subreddit_of_the_usual_size() -> None:
    alpha = world().subreddit(0)
    assert (len(alpha.hot), len(alpha.top(7)), len(alpha.top(365))) == (120, 25, 120)
    assert [post.score for post in alpha.top(7)] == sorted((post.score for post in alpha.top(7)), reverse=True)


def test_some_subreddits_are_small_empty_or_asleep_and_some_closed_but_never_the_given_ones() -> None:
    place = world(CrawlSettings(subreddits=400))
    sizes = [len(place.subreddit(number).posts) for number in range(400)]
    assert 0 in sizes
    assert any(0 < size < 30 for size in sizes)
    assert any(not place.subreddit(number).top(7) and sizes[number] for number in range(400))
    assert {place.state(number) for number in range(400)} == set(State) - {State.MISSING}
    generous = world(CrawlSettings(subreddits=10, closed_share=1.0, small_share=1.0))
    assert [generous.state(number) for number in range(2)] == [State.PUBLIC] * 2
    assert generous.state(2) is not State.PUBLIC


def test_hot_begins_with_what_is_stickied() -> None:
    place, pinned = world(), 0
    for number in range(60):
        subreddit = place.subreddit(number)
        flags = [subreddit.posts[spot].stickied for spot in subreddit.hot]
        assert flags == sorted(flags, reverse=True)
        pinned = max(pinned, sum(flags))
    assert pinned == 2


@pytest.mark.parametrize("authors", [1, 10, 25])
def test_the_first_posts_are_by_one_author_each(authors: int) -> None:
    place = world(CrawlSettings(subreddits=20, authors=authors, deleted_share=0.0))
    for number in range(1, 19, 2):
        if len(posts := place.subreddit(number).posts) >= 30:
            assert len({post.author for post in posts}) == authors
    assert place.subreddit(0).posts[0].author == "AutoModerator"


def test_neighbours_share_authors() -> None:
    def authors(number: int) -> set[int]:
        return {post.author_number for post in place.subreddit(number).posts} - {-1}

    place = world(CrawlSettings(subreddits=10, authors=20, overlap=0.5))
    assert len(authors(0) & authors(1)) == 10
    place = world(CrawlSettings(subreddits=10, authors=20, overlap=0.0))
    assert not authors(0) & authors(1)


def test_users_posts_hold_what_they_wrote_in_their_own_subreddits_newest_first() -> None:
    place = world()
    for post in place.subreddit(3).posts:
        if post.author_number >= 0:
            submitted = place.submitted(post.author_number)
            assert post in submitted
            assert [one.created for one in submitted] == sorted((one.created for one in submitted), reverse=True)


def test_authors_lead_to_the_branches_of_their_subreddit_and_now_and_then_elsewhere() -> None:
    place = world(CrawlSettings(subreddits=300))
    authors = {post.author_number for post in place.subreddit(0).posts} - {-1}
    seen = {post.subreddit for author in authors for post in place.submitted(author)}
    assert {place.name(number) for number in range(2, 8)} <= seen
    assert any(name.startswith("u_") for name in seen)
    assert any(place.subreddit_number(name) is None and not name.startswith("u_") for name in seen)
    assert len(seen) < 60


def test_few_users_in_many_subreddits_are_found_quickly_and_everywhere() -> None:
    place = world(CrawlSettings(subreddits=500, users=7))
    assert {post.author_number for post in place.subreddit(400).posts} == {-1, *range(7)}
    assert len(place.submitted(3)) > 0
    assert place.user_number(place.names.user(7)) is None


def test_users_are_active_suspended_or_gone_in_the_shares_asked_for() -> None:
    place = world(CrawlSettings(subreddits=200, suspended_share=0.2, gone_share=0.3))
    states = [place.user_state(number) for number in range(2000)]
    assert 300 < states.count(UserState.SUSPENDED) < 500
    assert 500 < states.count(UserState.MISSING) < 700


def test_everything_happened_before_the_world_stood_still() -> None:
    for post in every_post(world(CrawlSettings(subreddits=8))):
        assert EPOCH - 600 * DAY < post.created <= EPOCH


def test_states_set_by_hand_win_and_new_subreddits_can_be_founded() -> None:
    place = world()
    place.set_state(place.name(5).upper(), State.BANNED)
    assert place.state(5) is State.BANNED
    assert place.subreddit_number("Omega") is None
    place.add_subreddit("Omega")
    place.add_subreddit("omega")
    assert [place.name(number) for number in place.subreddit_numbers()][60:] == ["Omega"]
    assert place.subreddit(60).posts[0].subreddit == "Omega"
