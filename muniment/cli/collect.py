"""`muniment collect` and `muniment up`."""

import signal
import threading
from typing import TYPE_CHECKING

import typer

from muniment.cli.output import LakeOption, notes

if TYPE_CHECKING:
    from muniment.wiring import CommandContext


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("collect", epilog="Example: muniment collect --shard edge-1 --http-port 14318 --grpc-port 14317")(
        collect
    )
    app.command("up", epilog="Example: muniment up --lake /srv/evidence")(up)


def collect(
    lake: LakeOption = None,
    shard: str = typer.Option(
        "main", "--shard", help="Name of this collector's shard; each running collector needs its own."
    ),
    host: str | None = typer.Option(
        None, "--host", help="Address to listen on.", show_default="from settings, 127.0.0.1"
    ),
    grpc_port: int | None = typer.Option(
        None,
        "--grpc-port",
        min=0,
        max=65_535,
        help="Port for OTLP/gRPC; 0 takes a free one.",
        show_default="from settings, 4317",
    ),
    http_port: int | None = typer.Option(
        None,
        "--http-port",
        min=0,
        max=65_535,
        help="Port for OTLP/HTTP; 0 takes a free one.",
        show_default="from settings, 4318",
    ),
) -> None:
    """Run the receivers alone, until SIGTERM or Ctrl-C: OTLP over gRPC and HTTP into this lake."""
    from governance.access import Action
    from muniment.collector import Collector
    from muniment.wiring import command_context

    context = command_context(lake)
    context.check(Action.COLLECTOR_RUN)
    given = {"host": host, "grpc_port": grpc_port, "http_port": http_port}
    changed = {name: value for name, value in given.items() if value is not None}
    import msgspec

    receivers = msgspec.structs.replace(context.settings.receivers, **changed)
    receivers.check()
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    _say_without_tenants(context)
    collector = Collector(context, shard=shard, receivers=receivers)
    collector.start()
    notes.print(
        f"collecting into {context.lake.path} as {collector.writer.shard}: "
        f"OTLP/HTTP {receivers.host}:{collector.receivers.http_port}, "
        f"OTLP/gRPC {receivers.host}:{collector.receivers.grpc_port}",
        markup=False,
        soft_wrap=True,
    )
    try:
        stopping.wait()
    finally:
        collector.stop()
    notes.print("stopped: everything accepted is committed", markup=False)


def up(
    lake: LakeOption = None,
    shard: str = typer.Option("main", "--shard", help="Name of the collector's shard."),
) -> None:
    """Run what this lake needs under one supervisor: receivers and Dagster with its schedules. Ctrl-C stops all."""
    from contextlib import nullcontext

    from governance.access import Action
    from muniment.supervisor import Supervisor, services_of
    from muniment.wiring import command_context
    from pipelines.home import ready_home

    context = command_context(lake)
    context.check(Action.COLLECTOR_RUN)
    dagster = context.settings.dagster
    with ready_home(context.lake) if dagster.enabled else nullcontext() as home:
        supervisor = Supervisor(
            services_of(context.lake, context.settings, shard=shard, home=home),
            say=lambda text: notes.print(text, markup=False, soft_wrap=True),
        )
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: supervisor.request_stop())
        if home is not None:
            notes.print(f"schedules: http://127.0.0.1:{dagster.port}", markup=False)
        raise typer.Exit(supervisor.run())


def _say_without_tenants(context: "CommandContext") -> None:
    if not context.control.list_tenants():
        notes.print(
            "no tenant yet, every request will be refused: muniment tenant add NAME", markup=False, soft_wrap=True
        )
