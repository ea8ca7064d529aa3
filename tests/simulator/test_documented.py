"""The simulator's page documents every option, fault, rule key and control request."""

import pytest

from simulator.change_control import ROUTES as CHANGE_ROUTES
from simulator.changes import Op
from simulator.cli import parser
from simulator.control import ROUTES
from simulator.crawl.crawl_control import ROUTES as CRAWL_ROUTES
from simulator.crawl.crawl_paths import Address
from simulator.faults import KNOWN
from simulator.rule_keys import KEYS
from tests.simulator.client import ROOT

PAGE = (ROOT / "docs" / "simulator.md").read_text()


def options() -> list[str]:
    actions = parser()._actions  # noqa: SLF001 -- argparse has no public list of options
    names = {name for action in actions for name in action.option_strings}
    return sorted(names - {"-h", "--help"})


@pytest.mark.parametrize("option", options())
def test_every_option_is_documented(option: str) -> None:
    assert f"`{option}" in PAGE


@pytest.mark.parametrize("fault", sorted(KNOWN))
def test_every_fault_is_documented(fault: str) -> None:
    assert f"`{fault}`" in PAGE


@pytest.mark.parametrize("key", sorted(KEYS))
def test_every_key_of_a_rule_is_documented(key: str) -> None:
    assert f"`{key}`" in PAGE


@pytest.mark.parametrize("name", sorted({name for _, name in (*ROUTES, *CRAWL_ROUTES, *CHANGE_ROUTES)}))
def test_every_control_request_is_documented(name: str) -> None:
    assert f"/_sim/{name}`" in PAGE


@pytest.mark.parametrize("address", Address)
def test_every_address_of_the_crawl_world_is_documented(address: str) -> None:
    assert f"`{address}`" in PAGE


@pytest.mark.parametrize("op", Op)
def test_every_change_is_documented(op: str) -> None:
    assert f"`{op}`" in PAGE
