"""Controls as data: what a framework asks, the query that answers it, and what satisfies it."""
