"""`muniment witness`."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from muniment.cli.output import notes
from muniment.cli.verifier_keys import read_keys

DEFAULT_PORT = 7380

StateOption = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Folder of the witness's key and memory; never inside a lake."),
]
NameOption = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="Name of a new key.", show_default="made from the key"),
]

LogsOption = Annotated[
    list[str] | None,
    typer.Option("--log", metavar="VKEY", help="Key of a lake (named as the lake) or of one log; as often as needed."),
]
LogFileOption = Annotated[
    Path | None,
    typer.Option("--log-file", metavar="FILE", help="Such keys, one a line; lines that begin with # are skipped."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(
        help="Serve a witness: cosigns checkpoints of logs that only grow. It needs no lake, only the keys of the logs.",
        invoke_without_command=True,
        epilog="Example: muniment witness --state /srv/witness --log-file logs.txt",
    )
    group.callback()(serve)
    group.command("key", epilog="Example: muniment witness key --state /srv/witness")(key)
    app.add_typer(group, name="witness")


def serve(
    context: typer.Context,
    state: StateOption = None,
    host: str = typer.Option("127.0.0.1", "--host", help="Address to listen on."),
    port: int = typer.Option(DEFAULT_PORT, "--port", min=0, max=65_535, help="Port; 0 takes a free one."),
    logs: LogsOption = None,
    log_file: LogFileOption = None,
    name: NameOption = None,
    tls_cert_file: str | None = typer.Option(
        None, "--tls-cert-file", metavar="FILE", help="PEM certificate with chain."
    ),
    tls_key_file: str | None = typer.Option(None, "--tls-key-file", metavar="FILE", help="PEM private key."),
) -> None:
    """Serve a witness until SIGTERM or Ctrl-C."""
    if context.invoked_subcommand is not None:
        return
    from collectors.witness_server import WitnessServer
    from warehouse.clock import system_clock
    from warehouse.errors import SettingsError
    from warehouse.ledger.note import Ed25519Verifier
    from warehouse.ledger.witness import TrustedLogs, open_witness

    if (tls_cert_file is None) != (tls_key_file is None):
        raise SettingsError("witness: expected --tls-cert-file and --tls-key-file together, got one of them")
    tls_files = (tls_cert_file, tls_key_file) if tls_cert_file and tls_key_file else None
    trusted = TrustedLogs(
        [
            *read_keys(logs or (), Ed25519Verifier.from_vkey, "--log"),
            *read_keys([str(log_file)] if log_file else (), Ed25519Verifier.from_vkey, "--log-file"),
        ]
    )
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    witness, lock = open_witness(_given(state), trusted, clock=system_clock, name=name, say=_say)
    try:
        server = WitnessServer(witness, host=host, port=port, tls_files=tls_files, say=_say)
        server.start()
        scheme = "https" if tls_files else "http"
        _say(f"witness {witness.signer.verifier.vkey} listens on {scheme}://{host}:{server.port}")
        stopping.wait()
        server.stop()
    finally:
        lock.release()


def key(state: StateOption = None, name: NameOption = None) -> None:
    """Print the witness's public key, for `witnesses` in a lake's settings and `verify --witness`; makes one at first."""
    from warehouse.ledger.witness_key import make_witness_key

    typer.echo(make_witness_key(_given(state), name=name).verifier.vkey)


def _given(state: Path | None) -> Path:
    if state is None:
        raise typer.BadParameter("expected a folder, got none", param_hint="--state")
    return state


def _say(message: str) -> None:
    notes.print(message, markup=False, soft_wrap=True)
