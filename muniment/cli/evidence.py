"""`muniment evidence`: packs for a framework, a tenant and a period, and their verification offline."""

from pathlib import Path
from typing import Annotated, Any

import typer

from muniment.cli.evidence_controls import register_controls
from muniment.cli.evidence_decisions import parse_period, print_assessment, register_decisions
from muniment.cli.output import JsonOption, LakeOption, console, notes, on_terminal, plain_text, print_json
from muniment.cli.verifier_keys import WITNESS_HINT, read_keys


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    group = typer.Typer(help="Evidence packs: built from the lake, verified offline.", no_args_is_help=True)
    group.command(
        "build",
        epilog="Example: muniment evidence build --framework soc2 --tenant acme --from 2026-10-01 --to 2026-10-31 --out pack.zip",
    )(build)
    group.command("verify", epilog="Example: muniment evidence verify pack.zip --vkey lake.vkey")(verify)
    group.command("list", epilog="Example: muniment evidence list --framework soc2")(list_)
    group.command("packs", epilog="Example: muniment evidence packs --tenant acme")(packs)
    register_controls(group)
    register_decisions(group)
    app.add_typer(group, name="evidence")


def build(
    framework: Annotated[str, typer.Option("--framework", metavar="F", help="Of which framework: `evidence list`.")],
    tenant: Annotated[str, typer.Option("--tenant", metavar="T", help="Of whose records.")],
    first: Annotated[str, typer.Option("--from", metavar="D", help="First day, or a time (RFC 3339).")],
    last: Annotated[str, typer.Option("--to", metavar="D", help="Last day, included; or a time, not included.")],
    out: Annotated[Path, typer.Option("--out", metavar="PACK.zip", help="Where to put the pack.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    thorough: Annotated[
        bool,
        typer.Option(
            "--thorough", help="Check spans, logs and contents against their seals too, not audit events alone."
        ),
    ] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Build a pack: report, findings, populations, samples with proofs, seals, certificates. Recorded as an export."""
    from muniment.evidence import build_pack
    from muniment.wiring import command_context

    period = parse_period(first, last)
    quiet = json_ or not on_terminal()
    built = build_pack(
        command_context(lake),
        framework=framework,
        tenant=tenant,
        from_unix_nano=period[0],
        to_unix_nano=period[1],
        out=out,
        force=force,
        thorough=thorough,
        step=(lambda _text: None) if quiet else lambda text: notes.print(text, markup=False, style="dim"),
    )
    if json_:
        print_json(built.to_json())
        return
    for each in built.assessed.assessments:
        print_assessment(each)
    if built.losses:
        notes.print(
            f"the records do not fit their seals: {built.losses}", style="bold red", markup=False, soft_wrap=True
        )
    for problem in built.problems:
        notes.print(f"not proved: {problem}", markup=False, soft_wrap=True)
    console.print(f"written to {out}, SHA-256 {built.sha256}", markup=False, soft_wrap=True)


def verify(
    pack: Annotated[Path, typer.Argument(metavar="PACK.zip", help="The pack.")],
    vkey: Annotated[
        list[str] | None,
        typer.Option(
            "--vkey", metavar="KEY|FILE", help="Key of the lake that you trust, or a file of such; repeatable."
        ),
    ] = None,
    fingerprint: Annotated[
        list[str] | None,
        typer.Option(
            "--fingerprint", metavar="HEX", help="Instead: the fingerprint of a key that you trust; repeatable."
        ),
    ] = None,
    witness_key: Annotated[
        list[str] | None,
        typer.Option(
            "--witness-key",
            metavar="KEY|FILE",
            help="Key of an independent witness, got from it: its cosignatures are checked too; repeatable.",
        ),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Check a pack offline. Exit code 0 proved, 1 something was changed, 4 not established: no key was brought, or no witness cosigned.

    What is proved is that the pack is what was signed: where it says of its own records that some are missing or altered, the first
    line says so too, and `losses` of --json.
    """
    from governance.evidence.standalone import EXIT_CODES, NOT_ESTABLISHED, PROVED
    from muniment.evidence import check_pack
    from warehouse.ledger.cosignature import WitnessVerifier
    from warehouse.ledger.note import Ed25519Verifier

    keys = read_keys(vkey or (), Ed25519Verifier.from_vkey, "--vkey")
    witnesses = read_keys(witness_key or (), WitnessVerifier.from_vkey, "--witness-key", hint=WITNESS_HINT)
    found = check_pack(pack, [key.vkey for key in keys], fingerprint or (), [key.vkey for key in witnesses])
    if json_:
        print_json(found.to_json())
    else:
        style = "bold green" if found.result == PROVED else "bold" if found.result == NOT_ESTABLISHED else "bold red"
        console.print(plain_text(found.headline), style="bold red" if found.losses else style, soft_wrap=True)
        checked: dict[str, Any] = found.checked
        if checked:
            console.print("  checked: " + ", ".join(f"{count:,} {what}" for what, count in checked.items()))
        for problem in found.problems:
            console.print(f"  {plain_text(problem)}", markup=False, soft_wrap=True)
        for line in (*found.witnessed, *found.unwitnessed):
            console.print(f"  {plain_text(line)}", markup=False, soft_wrap=True)
        if found.result == NOT_ESTABLISHED and not (keys or fingerprint):
            console.print(
                "  everything in it fits; who signed it is not established: bring the key with --vkey or --fingerprint"
            )
            for each in found.fingerprints:
                console.print(f"  fingerprint of a key in the pack: {each}", markup=False, soft_wrap=True)
    raise typer.Exit(EXIT_CODES[found.result])


def list_(
    framework: Annotated[str | None, typer.Option("--framework", metavar="F", help="Its controls.")] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """List frameworks, or the controls of one: what each asks, and what it does not show."""
    from governance.access import Action
    from muniment.assessing import find_framework, read_controls
    from muniment.wiring import command_context

    context = command_context(lake)
    context.check(Action.POLICY_READ)
    controls = read_controls(context)
    chosen = controls.frameworks.values() if framework is None else [find_framework(controls, framework)]
    if json_:
        print_json(
            [
                {
                    "framework": each.id,
                    "title": each.title,
                    "mapping_only": each.is_mapping_only,
                    "controls": [
                        {"id": control.id, "title": control.title, "computed": control.sql is not None}
                        for control in each.controls
                    ],
                }
                for each in chosen
            ]
        )
        return
    for each in chosen:
        kind = " (mapping only: nothing is computed)" if each.is_mapping_only else ""
        console.print(plain_text(f"{each.id}: {each.title}{kind}"), style="bold", soft_wrap=True)
        for control in each.controls if framework is not None else ():
            console.print(plain_text(f"  {control.id}  {control.title}"), soft_wrap=True)
            console.print(plain_text(f"      {control.question}"), style="dim", soft_wrap=True)


def packs(
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="T", help="Only this tenant's.")] = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """List the packs that the monthly schedule built, in `LAKE/packs/`, and say which are lacking and why."""
    from muniment.packs import list_lacking, list_packs
    from muniment.wiring import command_context

    context = command_context(lake)
    found = list_packs(context, tenant)
    if json_:
        print_json(
            [
                {"tenant": each.tenant, "framework": each.framework, "month": str(each.month), "file": str(each.file)}
                for each in found
            ]
        )
        return
    for each in found:
        console.print(plain_text(f"{each.tenant}  {each.framework}  {each.month}  {each.file}"), soft_wrap=True)
    if not found:
        notes.print("no pack was built on schedule yet")
    for name, why in list_lacking(context, tenant):
        notes.print(f"{name}: {why}", markup=False, soft_wrap=True)
