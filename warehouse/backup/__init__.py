"""Backups of a lake: certificates mirrored, one generation a target, and what a restore makes of it. See docs/design/backup.md."""
