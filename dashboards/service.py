"""How the pages run: by `dashboards.server`, on this machine's own address, with nothing that calls home."""

import sys
from collections.abc import Mapping
from pathlib import Path

HOST = "127.0.0.1"

_OPTIONS: Mapping[str, str] = {
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.enableXsrfProtection": "true",
    "server.enableCORS": "true",
    "server.maxUploadSize": "16",
    "browser.gatherUsageStats": "false",
    "client.toolbarMode": "minimal",
    "client.showErrorDetails": "none",
    "client.showSidebarNavigation": "true",
    "logger.level": "warning",
    "theme.light.primaryColor": "#1f5fa8",
    "theme.dark.primaryColor": "#2f79c7",
}


def command(lake: Path, port: int, secrets_file: Path | None = None) -> tuple[str, ...]:
    """Command line of a lake's pages, on `port` of this machine alone; `secrets_file` says how people sign in."""
    options = {"server.address": HOST, "server.port": str(port), **_OPTIONS}
    if secrets_file is not None:
        options["secrets.files"] = str(secrets_file)
    flags = [part for name, value in options.items() for part in (f"--{name}", value)]
    return (
        sys.executable,
        "-m",
        "dashboards.server",
        *flags,
        "--",
        str(lake),
    )
