"""Writes merged batches in one transaction, in the order of the batch's fields."""

from datetime import datetime

from sqlalchemy import Connection, Dialect

from scraper.store.batches.merged_batch import MergedBatch
from scraper.store.batches.name_key import name_key
from scraper.store.statements.claims import ClaimStatements
from scraper.store.statements.frontier import FrontierStatements
from scraper.store.statements.upsert import ProxyStatements, Upserts


class Writer:
    """Writes merged batches."""

    def __init__(self, dialect: Dialect, frontier: FrontierStatements, claims: ClaimStatements) -> None:
        self._frontier = frontier
        self._claims = claims
        self._upserts = Upserts(dialect)
        self._proxies = ProxyStatements(dialect)

    def write(self, connection: Connection, work: MergedBatch, now: datetime) -> None:
        """Write the whole batch; the caller provides the transaction."""
        self._write_rows(connection, work, now)
        self._write_frontier(connection, work, now)
        if work.proxies:
            self._proxies.add(connection, work.proxies, now)

    def _write_rows(self, connection: Connection, work: MergedBatch, now: datetime) -> None:
        upserts = self._upserts
        if work.subreddits:
            upserts.subreddits(connection, work.subreddits)
        if work.missing:
            upserts.missing(connection, work.missing)
        if work.rules:
            upserts.rules(connection, work.rules, now)
        if work.posts:
            upserts.posts(connection, work.posts)
        if work.users:
            upserts.users(connection, work.users)
            self._claims.fulfil(connection, [name_key(row.username) for row in work.users])
        if work.post_figures:
            upserts.figures(connection, work.post_figures, now)
        if work.author_figures:
            upserts.figures(connection, work.author_figures, now)

    def _write_frontier(self, connection: Connection, work: MergedBatch, now: datetime) -> None:
        if work.found:
            self._frontier.enter(connection, work.found, now)
        if work.progress:
            self._frontier.progress(connection, work.progress)
        if work.outcomes:
            self._frontier.outcomes(connection, work.outcomes, now)
        if work.given_back:
            self._frontier.give_back(connection, work.given_back, now)
        if work.released_users:
            self._claims.release(connection, work.released_users)
