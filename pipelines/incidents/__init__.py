"""Incidents: rules over the lake's records, what they find, and how it is put together. Plain functions, without a scheduler."""
