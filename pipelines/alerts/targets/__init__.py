"""The kinds of targets, one a module: each knows how its receiver wants to be told, and nothing about when."""

from pipelines.alerts.targets.target import Target, open_target

__all__ = ["Target", "open_target"]
