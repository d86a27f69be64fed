"""Service-level objectives: OpenSLO files in, counts of good and all events by window out, and what burns too fast.

Plain functions over `warehouse`. An indicator is SQL that gives a row an event; each new event is counted once, in the window of
its own time. What was counted is never counted again: purges take no count away, and a late record changes its window alone.
"""
