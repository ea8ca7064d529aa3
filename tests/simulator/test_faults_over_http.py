"""Every fault as a client meets it."""

from email.utils import parsedate_to_datetime

import pytest
import requests

from tests.simulator.client import Running
from tests.support.waiting import wait_until

PATH = "/r/Alpha+Beta/comments"


@pytest.fixture
def names(simulator: Running) -> list[str]:
    """Items that no client has seen yet."""
    return simulator.generate(comments=3)


def unseen(simulator: Running, names: list[str]) -> bool:
    truth = simulator.truth()
    return all(truth[name]["shown_count"] == 0 and truth[name]["shown_at"] is None for name in names)


@pytest.mark.parametrize("status", [500, 502, 503])
def test_server_errors(simulator: Running, names: list[str], status: int) -> None:
    simulator.post("faults", **{f"status_{status}": 1})
    answer = simulator.get(PATH)
    assert answer.status_code == status
    assert unseen(simulator, names)


def test_resets_come_before_and_in_the_middle_of_an_answer(simulator: Running, names: list[str]) -> None:
    simulator.post("faults", reset=1)
    met = set()
    for _ in range(30):
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)) as caught:
            simulator.get(PATH)
        met.add(caught.type)
    assert met == {requests.ConnectionError, requests.exceptions.ChunkedEncodingError}
    assert unseen(simulator, names)


def test_a_hang_outlasts_the_clients_patience(simulator: Running, names: list[str]) -> None:
    simulator.post("faults", hang=1, hang_seconds=60)
    for _ in range(4):
        with pytest.raises((requests.ReadTimeout, requests.ConnectionError)):
            simulator.get(PATH, patience=0.05)
    assert unseen(simulator, names)


def test_a_hang_ends_by_cutting_the_connection(simulator: Running) -> None:
    simulator.post("faults", hang=1, hang_seconds=0.05)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        simulator.get(PATH)


@pytest.mark.parametrize(("fault", "status"), [("html", 200), ("html_403", 403)])
def test_html_instead_of_json(simulator: Running, names: list[str], fault: str, status: int) -> None:
    simulator.post("faults", **{fault: 1})
    answer = simulator.get(PATH)
    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert unseen(simulator, names)


def test_truncated_json_looks_whole_to_http(simulator: Running, names: list[str]) -> None:
    simulator.post("faults", truncated_json=1)
    answer = simulator.get(PATH)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json; charset=UTF-8")
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert unseen(simulator, names)


@pytest.mark.parametrize(("retry_after", "header"), [(None, None), (7, "7"), (0.5, "0.5"), ("seconds", "2")])
def test_429_with_and_without_retry_after(
    simulator: Running, names: list[str], retry_after: object, header: str | None
) -> None:
    simulator.post("faults", status_429=1, retry_after=retry_after)
    answer = simulator.get(PATH)
    assert (answer.status_code, answer.headers.get("Retry-After")) == (429, header)
    assert "X-Ratelimit-Remaining" in answer.headers
    assert unseen(simulator, names)


def test_retry_after_can_be_a_date(simulator: Running) -> None:
    simulator.post("faults", status_429=1, retry_after="date", retry_after_seconds=90)
    answer = simulator.get(PATH)
    wait = parsedate_to_datetime(answer.headers["Retry-After"]) - parsedate_to_datetime(answer.headers["Date"])
    assert 88 <= wait.total_seconds() <= 91


def test_an_empty_page_is_a_good_answer_without_items(simulator: Running, names: list[str]) -> None:
    simulator.post("faults", empty_page=1)
    assert simulator.page(PATH) == ([], None)
    assert unseen(simulator, names)
    assert simulator.get("/r/Alpha/about").json()["kind"] == "t5"


def test_401_for_a_token_that_is_good(simulator: Running, names: list[str]) -> None:
    simulator.post("faults", token_401=1)
    answer = simulator.get(PATH)
    assert (answer.status_code, answer.headers["WWW-Authenticate"][:6]) == (401, "Bearer")
    simulator.post("faults", token_401_bare=True)
    bare = simulator.get(PATH)
    assert (bare.status_code, "WWW-Authenticate" in bare.headers) == (401, False)
    assert unseen(simulator, names)
    assert simulator.token(), "the token endpoint itself is spared"


def test_a_redirect_to_nowhere(simulator: Running, names: list[str]) -> None:
    simulator.post("faults", redirect_without_location=1)
    answer = simulator.get(PATH)
    assert (answer.status_code, "Location" in answer.headers) == (302, False)
    assert unseen(simulator, names)


def test_the_reset_header_can_be_fractional(simulator: Running, names: list[str]) -> None:
    simulator.post("faults", fractional_reset=True)
    reset = simulator.get(PATH).headers["X-Ratelimit-Reset"]
    assert reset == f"{float(reset):.2f}"
    assert not unseen(simulator, names)


def test_latency_is_added_to_good_answers(simulator: Running) -> None:
    simulator.post("faults", latency=0.2)
    assert simulator.get(PATH).elapsed.total_seconds() >= 0.2


def test_the_token_endpoint_fails_too(simulator: Running) -> None:
    simulator.post("faults", status_503=1)
    with pytest.raises(requests.HTTPError, match="503"):
        simulator.token()


def test_the_control_side_is_spared_and_counts_what_it_spoiled(simulator: Running) -> None:
    before = simulator.stats()["by_fault"].get("status_500", 0)
    simulator.post("faults", status_500=1)
    simulator.get(PATH)
    assert simulator.stats()["by_fault"]["status_500"] == before + 1


def test_temporary_faults_pass(simulator: Running) -> None:
    simulator.post("faults", status_503=1, seconds=0.3)
    assert simulator.get(PATH).status_code == 503
    wait_until(lambda: simulator.get(PATH).status_code == 200, what="the fault to pass")


def test_an_answer_that_the_client_did_not_wait_for_is_not_shown(simulator: Running) -> None:
    name = simulator.post("odd", kind="comments", data={"body": "x" * 30_000_000, "subreddit": "Beta"})["fullname"]
    simulator.abandon("/r/Beta/comments", limit=1)
    wait_until(lambda: simulator.stats()["by_status"].get("abandoned"), what="the simulator to notice")
    assert unseen(simulator, [name])
    simulator.post("remove", fullname=name)


def test_a_good_answer_shows_its_items_once_each_time(simulator: Running, names: list[str]) -> None:
    for count in (1, 2):
        assert set(names) <= set(simulator.page(PATH)[0])
        truth = simulator.truth()
        assert [truth[name]["shown_count"] for name in names] == [count] * 3
        assert all(truth[name]["shown_at"] >= truth[name]["surfaced_at"] for name in names)
