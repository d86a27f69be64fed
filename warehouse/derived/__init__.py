"""Derived tables: what pipelines work out from the records. They are no evidence themselves and can name the records that are."""
