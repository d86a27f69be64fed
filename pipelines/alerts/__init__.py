"""Alerts out: what fires, who is told, and what they were told last."""
