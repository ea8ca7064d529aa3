"""The survey of many names: it orders a search, and never decides."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.capture.name_survey import AT_ONCE, NameSurvey, readable_names


def subreddit(name: str, kind: str = "public", **more: Any) -> dict[str, Any]:
    return {"kind": "t5", "data": {"display_name": name, "subreddit_type": kind, **more}}


def listing(*children: Any) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"children": list(children)}}


def test_what_is_missing_closed_or_quarantined_is_suspect() -> None:
    survey = NameSurvey(["Alpha", "beta", "Gamma", "Delta", "Epsilon"])
    assert survey.next() == ("Alpha", "beta", "Gamma", "Delta", "Epsilon")
    survey.take(
        listing(subreddit("alpha"), subreddit("Beta", "restricted"), subreddit("Gamma", "private"),
                subreddit("Delta", quarantine=True))
    )  # fmt: skip
    assert survey.done
    assert survey.suspects() == ("Gamma", "Delta", "Epsilon")


def test_names_are_requested_by_the_hundred() -> None:
    names = [f"Sub{number:03}" for number in range(250)]
    survey, asked = NameSurvey(names), []
    while not survey.done:
        asked.append(survey.next())
        survey.take(listing(*map(subreddit, survey.next())))
    assert [len(chunk) for chunk in asked] == [AT_ONCE, AT_ONCE, 50]
    assert [name for chunk in asked for name in chunk] == names
    assert survey.suspects() == ()


@pytest.mark.parametrize(
    "answer", [None, [], {}, {"data": None}, {"data": {"children": 3}}, listing(), listing(None, 7)]
)
def test_a_server_that_names_no_subreddit_makes_none_suspect(answer: object) -> None:
    survey = NameSurvey(["Alpha", "Beta"])
    survey.take(answer)
    assert survey.done
    assert survey.suspects() == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("t5"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["data", "children", "kind", "display_name", "quarantine"]), inner, max_size=5
        )
    ),
)


@given(JSON)
def test_any_answer_is_read(answer: object) -> None:
    assert all(isinstance(name, str) for name in readable_names(answer))


def test_names_of_other_groups_fill_the_last_request() -> None:
    survey = NameSurvey(["Alpha", "Beta"])
    others = (f"Sub{number:03}" for number in range(250))
    asked = survey.next(others)
    assert asked[:3] == ("Alpha", "Beta", "Sub000")
    assert len(asked) == AT_ONCE
    assert survey.take(listing(*map(subreddit, asked))) == {name.lower() for name in asked}
    assert survey.done
    assert survey.suspects() == ()
