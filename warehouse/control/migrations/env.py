"""Run by Alembic: migrate on the connection, and inside the transaction, that `warehouse.control.migration` opened."""

from alembic import context

from warehouse.control.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite can roll DDL back too, once the driver is kept from opening transactions of its own, as it is here.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
