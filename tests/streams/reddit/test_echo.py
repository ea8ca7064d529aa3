"""What Reddit, or who stands before it, says back of our secrets stands in no error and no log of a stream."""

import base64
import json
import traceback
from pathlib import Path

import pytest

from core.errors import GaplessError
from core.masking.external import hide, hide_token
from streams.reddit.listing_page import parse_page
from tests.streams.reddit.client_house import House
from tests.support.echo import ANSWERS, TOKENS, Echo
from tests.support.leaks import Leaks

CLIENT = "Cl13nt", "Zq8_vTn3-XwK5rPbYc7LdM2sJh4"
TOKEN = "81034567-Wk2pXn9vLq4RtZ7mBy3cHd6sFj8gTa"
BASIC = base64.b64encode(":".join(CLIENT).encode()).decode()
LEAKS = Leaks((CLIENT[1], TOKEN), (CLIENT,))


@pytest.mark.parametrize(
    ("answer", "told"), [*((name, "a token") for name in ANSWERS), *(("reason in JSON", name) for name in TOKENS)]
)
def test_whatever_is_said_back(answer: str, told: str, tmp_path: Path) -> None:
    hide(CLIENT[1], logins=[CLIENT])
    with Echo([CLIENT[1], BASIC], TOKEN, [answer], [told]) as echo:
        house = House(tmp_path, echo.url, client_id=CLIENT[0], client_secret=CLIENT[1])
        seen = []
        for _ in range(2):
            try:
                parse_page(house.get(), "comments")
            except GaplessError as error:
                seen += [str(error), repr(error), "".join(traceback.format_exception(error))]
        assert echo.given[told]
    text = "\n".join([*seen, json.dumps(house.log.entries, default=repr)])
    assert not LEAKS.found_in(text), text


def test_what_is_rejected_is_kept_without_them() -> None:
    hide(CLIENT[1], 'quo"ted')
    hide_token(TOKEN)
    children = [{"kind": "t9", "data": {"name": f"bearer {TOKEN}", "title": f'{CLIENT[1]} quo"ted'}}]
    page = parse_page({"kind": "Listing", "data": {"children": children}}, "comments")
    (reject,) = page.rejects
    assert reject.raw == b'{"kind": "t9", "data": {"name": "bearer ***", "title": "***"}}'


def test_what_is_rejected_keeps_no_code_and_no_piece_of_them() -> None:
    hide(CLIENT[1], logins=[CLIENT])
    children = [{"kind": "t9", BASIC: [CLIENT[1][:20], {"x": f"Basic {BASIC}"}], "plain": 'a "quoted" text'}]
    (reject,) = parse_page({"kind": "Listing", "data": {"children": children}}, "comments").rejects
    masked = {"kind": "t9", "***=": ["***", {"x": "Basic ***="}], "plain": 'a "quoted" text'}
    assert json.loads(reject.raw) == masked
