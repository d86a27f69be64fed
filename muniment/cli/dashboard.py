"""`muniment dashboard`: the pages alone."""

import os
import signal
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
    """Show this lake's pages in a browser of this machine, until Ctrl-C.

    Overview, search, evidence, audit explorer, traces, agents, SLOs, incidents, retention, requests and integrity.
    """
    from dashboards.service import HOST, command
    from governance.access import Action
    from muniment.environment import variable, without_variable
    from muniment.sign_in import write_secrets
    from muniment.wiring import command_context
    from warehouse.errors import ConflictError
    from warehouse.ports import is_free

    context = command_context(lake)
    context.check(Action.STATUS_READ)
    chosen = port or context.settings.dashboards.port
    if not is_free(HOST, chosen):
        raise ConflictError(
            f"port {chosen} of {HOST} is taken", hint="name another with --port, or the setting dashboards.port"
        )
    sign_in = context.settings.dashboards.sign_in
    secrets_file = None
    if sign_in is not None:
        secrets_file = write_secrets(context.lake, sign_in, host=HOST, port=chosen, read_variable=variable)
    notes.print(f"pages: http://{HOST}:{chosen} (they answer within seconds, once the lake is open)", markup=False)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    words = command(context.lake.path, chosen, secrets_file)
    # the pages have the client's secret from the file; what they start need not inherit it
    environment = without_variable(sign_in.client_secret_variable if sign_in else None)
    os.execve(words[0], words, environment)  # noqa: S606 - its own command, no shell
