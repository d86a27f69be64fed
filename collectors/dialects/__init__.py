"""Dialects of agent telemetry and the normalised columns they fill: alias tables as data, and their columnar reader."""
