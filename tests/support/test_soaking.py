"""Tests of the choice between `make test` and `make soak`."""

import pytest

from tests.support.soaking import LONGER, SOAK, examples, split


@pytest.mark.parametrize(
    "kind", ["in each run", pytest.param("in the soak", marks=SOAK), pytest.param("in both", marks=LONGER)]
)
def test_each_kind_runs_where_it_belongs(request: pytest.FixtureRequest, kind: str) -> None:
    """A plain test is in each run only, one with the mark `soak` in the soak only, one with `longer` in both."""
    item = request.node
    by_default, in_the_soak = split([item], soak=False), split([item], soak=True)
    assert by_default == (([], [item]) if kind == "in the soak" else ([item], []))
    assert in_the_soak == (([], [item]) if kind == "in each run" else ([item], []))


@LONGER
def test_a_soak_tries_more_examples(request: pytest.FixtureRequest) -> None:
    assert examples(3, soak=7) == (7 if request.config.getoption("--soak") else 3)
