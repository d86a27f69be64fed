"""`muniment dashboard`: the pages alone."""

import os
import signal
import socket
from typing import Annotated

import typer

from muniment.cli.output import LakeOption, notes


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("dashboard", epilog="Example: muniment dashboard --port 8502")(dashboard)


def dashboard(
    lake: LakeOption = None,
    port: Annotated[
        int | None,
        typer.Option("--port", min=1, max=65_535, help="Port of this machine.", show_default="from settings, 8501"),
    ] = None,
) -> None:
    """Show this lake's pages in a browser of this machine, until Ctrl-C: overview, audit, traces, retention, integrity."""
    from dashboards.service import HOST, command
    from governance.access import Action
    from muniment.wiring import command_context
    from warehouse.errors import ConflictError

    context = command_context(lake)
    context.check(Action.STATUS_READ)
    chosen = port or context.settings.dashboards.port
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, chosen))
        except OSError as exc:
            raise ConflictError(
                f"port {chosen} of {HOST} is taken", hint="name another with --port, or the setting dashboards.port"
            ) from exc
    notes.print(f"pages: http://{HOST}:{chosen}", markup=False)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    words = command(context.lake.path, chosen)
    os.execv(words[0], words)  # noqa: S606 - its own command, no shell
