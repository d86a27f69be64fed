"""What commands, collectors, witnesses and backups load, for the server of `tests/processes.py`; nothing else imports it."""

# ruff: noqa: F401
import collectors.witness_server
import muniment.cli.app
import muniment.collector
import muniment.importing
import muniment.purging
import muniment.replaying
import muniment.restoring
import muniment.wiring
import muniment.witness_rounds
import warehouse.backup
