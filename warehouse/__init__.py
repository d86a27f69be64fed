"""Data at rest: tables, journal, writer, control data, queries and maintenance.

The lowest room: every other room may import it, it imports none of them.
"""
