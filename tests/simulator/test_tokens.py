"""Tokens are given to those with the right credentials, and expire."""

import base64
import random

import pytest

from simulator.tokens import Credentials, Tokens


def basic(client_id: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{client_id}:{secret}".encode()).decode()


def tokens(credentials: Credentials | None = None) -> Tokens:
    return Tokens(credentials or Credentials(), 60.0, random.Random(1))


def test_a_token_names_its_client_until_it_expires() -> None:
    office = tokens()
    token = office.issue(basic("me", "secret"), 100.0)
    assert office.client(f"bearer {token}", 159.9) == "me"
    assert office.client(f"Bearer {token}", 100.0) == "me"
    assert office.client(f"bearer {token}", 160.0) is None


def test_all_tokens_can_expire_at_once() -> None:
    office = tokens()
    issued = [office.issue(basic("me", "secret"), 100.0) for _ in range(2)]
    assert office.expire_all() == 2
    assert [office.client(f"bearer {token}", 100.0) for token in issued] == [None, None]


@pytest.mark.parametrize("authorization", [None, "", "bearer ", "bearer nobody", "Basic abc", "nonsense"])
def test_an_unknown_token_names_nobody(authorization: str | None) -> None:
    assert tokens().client(authorization, 100.0) is None


@pytest.mark.parametrize(
    "authorization", [None, "", "Basic", "Basic ???", "Basic bm9jb2xvbg==", "bearer x", basic("", "x")]
)
def test_a_malformed_authorization_gets_no_token(authorization: str | None) -> None:
    assert tokens().issue(authorization, 100.0) is None


def test_only_the_credentials_that_were_set_get_a_token() -> None:
    office = tokens(Credentials("me", "secret"))
    assert office.issue(basic("me", "secret"), 100.0)
    assert office.issue(basic("me", "guess"), 100.0) is None
    assert office.issue(basic("you", "secret"), 100.0) is None
