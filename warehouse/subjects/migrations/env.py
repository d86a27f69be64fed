"""Run by Alembic: migrate on the connection, and inside the transaction, that `warehouse.control.migration` opened."""

from alembic import context

from warehouse.subjects.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # The vault may lie in the same PostgreSQL database as the control data, whose revisions are counted apart.
    version_table=context.config.attributes["versions_table"],
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
