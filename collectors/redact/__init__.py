"""Classification and redaction: what happens to every text that came from outside, in memory, before the journal."""
