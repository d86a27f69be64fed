"""Muniment, the evidence lakehouse for AI agents: command line, settings, supervisor and demo fleet."""

__version__ = "0.1.0"
__all__ = ["__version__"]
