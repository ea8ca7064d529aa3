"""The glossary defines each word that has a special meaning, and the pages that use them link to it."""

from pathlib import Path

import pytest

from tests.docs.markdown import links, rows, text

PAGE = Path("docs/glossary.md")
WORDS = ["listed", "shown", "captured", "proven", "gap", "late item", "audit", "index of names", "spool"]
WORDS += ["source, sink", "position", "dead letter", "look", "duty", "latest", "frontier", "lease", "machine", "shard"]
WORDS += ["group"]


def test_each_word_is_defined_once() -> None:
    defined = rows(text(PAGE), "word")
    assert [word for word, _ in defined] == WORDS
    assert all(len(meaning.split()) >= 8 for _, meaning in defined)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "docs/guarantees.md", "docs/architecture.md"])
def test_it_is_linked_where_the_words_are_used(page: str) -> None:
    assert any(link.endswith("glossary.md") for link in links(Path(page)))
