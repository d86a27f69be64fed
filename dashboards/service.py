"""How the pages run: by `dashboards.server`, on this machine's own address, with nothing that calls home."""

import sys
from collections.abc import Mapping
from pathlib import Path

from dashboards.door import OWN_NAMES

HOST = "127.0.0.1"

_OPTIONS: Mapping[str, object] = {
    "server.address": HOST,
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.enableXsrfProtection": True,
    "server.enableCORS": True,
    "server.allowedHosts": list(OWN_NAMES),
    "server.enableAgentApi": False,
    "server.enableStaticServing": False,
    "server.maxUploadSize": 16,
    "browser.gatherUsageStats": False,
    "client.allowedOrigins": [],
    "client.disableDataExport": True,  # past the right to export and the record of it: pages offer their own
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showSidebarNavigation": True,
    "logger.level": "warning",
    "theme.light.primaryColor": "#1f5fa8",
    "theme.dark.primaryColor": "#2c74c0",
}


def command(lake: Path, port: int, secrets_file: Path | None = None) -> tuple[str, ...]:
    """Command line of a lake's pages, on `port` of this machine alone; `secrets_file` says how people sign in."""
    secrets = () if secrets_file is None else ("--secrets", str(secrets_file))
    return (sys.executable, "-m", "dashboards.server", "--port", str(port), *secrets, "--", str(lake))


def options(port: int, secrets_file: str | None) -> dict[str, object]:
    """Streamlit's options for pages on `port`, by their names; they go before its files and variables."""
    secrets = {} if secrets_file is None else {"secrets.files": [secrets_file]}
    return {**_OPTIONS, "server.port": port, **secrets}
