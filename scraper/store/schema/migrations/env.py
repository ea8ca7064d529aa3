"""Alembic's environment: runs the steps on the given connection, in its transaction."""

from alembic import context

from scraper.store.schema.migrate import VERSION_TABLE
from scraper.store.schema.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    transactional_ddl=True,
    render_as_batch=True,
)
context.run_migrations()
