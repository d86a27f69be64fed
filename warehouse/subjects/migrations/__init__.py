"""Alembic's folder: `env` is run by Alembic, `versions` holds one module a schema revision."""
