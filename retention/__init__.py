"""Data out: what may not go (legal holds), what has to, and the proof of both."""
