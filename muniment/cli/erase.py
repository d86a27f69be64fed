"""`muniment erase`: forgets a person in a tenant, and says what stays and why."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, plain_text, print_json, step_lines
from warehouse.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from muniment.erasing import Erased
    from muniment.erasure_plan import ErasurePlan, Person
    from muniment.wiring import CommandContext
    from retention.erasure import Staying


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "erase",
        epilog="Examples: muniment erase --tenant acme --subject - < value.txt            (shows what would go)\n\n"
        "muniment erase --tenant acme --subject sub_vrngydrr3ln74lrifoxdwt26nq --reason 'request 12' --yes\n\n"
        "muniment erase --approve r1f2e3d4c5b6a    (as a second principal)",
    )(erase)


def erase(
    tenant: Annotated[str | None, typer.Option("--tenant", metavar="T", help="Whose records these are.")] = None,
    subject: Annotated[
        str | None,
        typer.Option(
            "--subject", metavar="S",
            help="The person's token, or a value that names them; - reads the value from standard input.",
        ),
    ] = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why, for the record; name no person in it.")
    ] = "request of the person",
    yes: Annotated[bool, typer.Option("--yes", help="Carry it out; without, only show it.")] = False,
    search_texts: Annotated[
        bool,
        typer.Option(
            "--search-texts", help="Read every text of the tenant, for a value that redaction missed. Takes longer."
        ),
    ] = False,
    approve: Annotated[
        str | None, typer.Option("--approve", metavar="REQUEST", help="Approve what another principal ordered, and do it.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Carry on every erasure that was cut off, or of which something was kept.")
    ] = False,
    list_: Annotated[bool, typer.Option("--list", help="List erasures that have not ended.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:  # fmt: skip
    """Erase a person: rows, contents, refused records and their key. What a hold or a law keeps stays, and is named."""
    from muniment.erasing import finish_erasures
    from muniment.erasure_notes import read_notes
    from muniment.erasure_plan import find_person, foresee_erasure
    from muniment.wiring import command_context

    context = command_context(lake)
    if list_:
        _show_notes(read_notes(context), json_=json_)
    elif resume:
        with step_lines(quiet=json_) as step:
            _show_all(finish_erasures(context, step=step), json_=json_)
    elif approve is not None:
        _approve(context, approve, json_=json_)
    else:
        if tenant is None or subject is None:
            raise InputError("erase: expected --tenant and --subject", hint="muniment erase --help shows examples")
        value = sys.stdin.read().strip() if subject == "-" else subject
        person = find_person(context, tenant, value, texts=search_texts)
        if yes:
            _order(context, person, reason, json_=json_)
        else:
            _show_plan(foresee_erasure(context, person), json_=json_)


def _approve(context: "CommandContext", request: str, *, json_: bool) -> None:
    from muniment.erasing import approve_erasure, carry_out

    note = approve_erasure(context, request)
    with step_lines(quiet=json_) as step:
        _show_erased(carry_out(context, note, step=step), json_=json_)


def _order(context: "CommandContext", person: "Person", reason: str, *, json_: bool) -> None:
    from muniment.erasing import carry_out, order_erasure

    nonces: list[str] = []
    note, request = order_erasure(context, person, reason=reason, announce_nonce=nonces.append)
    if not json_:
        said = f"nonce {nonces[0]}: keep it, it is stored nowhere; with it {note.subject_ref[:16]}… names this person"
        console.print(said, soft_wrap=True, markup=False)
    if request is not None:
        _show_request(request.id, nonces[0], json_=json_)
        return
    with step_lines(quiet=json_) as step:
        done = carry_out(context, note, value=person.value, step=step)
    _show_erased(done, json_=json_, nonce=nonces[0])


def _show_all(done: "Sequence[Erased]", *, json_: bool) -> None:
    if json_:
        print_json([_erased_json(each) for each in done])
        return
    for each in done:
        console.print(plain_text(f"{each.note.id}, tenant {each.note.tenant}:"))
        _show_erased(each, json_=False)
    if not done:
        console.print("no erasure waits to be carried on")


def _show_request(request: str, nonce: str, *, json_: bool) -> None:
    if json_:
        print_json({"erased": False, "request": request, "nonce": nonce})
        return
    console.print(f"request {request} waits for a second principal; nothing was deleted", markup=False)
    console.print(f"they run: muniment erase --approve {request}", markup=False)


def _show_plan(plan: "ErasurePlan", *, json_: bool) -> None:
    if json_:
        print_json({"erased": False, **plan.to_json()})
        return
    going = plan.erasure.rows_going
    rows = ", ".join(f"{count:,} of {table}" for table, count in going.items()) or "no rows"
    console.print(
        f"would go: {rows}, in {len(plan.erasure.going)} files; {plan.quarantine} refused records", markup=False
    )
    _show_staying(plan.erasure.staying)
    for pack in plan.packs:
        console.print(plain_text(f"names the person: pack {pack}"), soft_wrap=True)
    console.print("the person's key stays as long as something above is kept" if plan.erasure.keeps_key else
                  "the person's key would be destroyed")  # fmt: skip
    console.print("nothing was deleted; --yes carries it out, --reason TEXT says why", style="dim")


def _show_staying(staying: "Sequence[Staying]") -> None:
    for each in staying:
        law = f" ({each.reason})" if each.reason else ""
        if not each.rows:
            console.print(
                plain_text(f"stays: the person's key, for {each.table}: {each.by} {each.name}"), soft_wrap=True
            )
            continue
        days = each.first_day if each.first_day == each.last_day else f"{each.first_day} to {each.last_day}"
        console.print(
            plain_text(f"stays: {each.rows:,} of {each.table}, {days}: {each.by} {each.name}{law}"), soft_wrap=True
        )


def _show_erased(done: "Erased", *, json_: bool, nonce: str | None = None) -> None:
    if json_:
        print_json(_erased_json(done) | {"nonce": nonce})
        return
    for each in done.purges:
        rows = ", ".join(f"{count:,} of {table}" for table, count in sorted(each.rows.items()))
        console.print(plain_text(f"erased {rows}; certificate {each.certificate.sha256}"), soft_wrap=True)
    if done.quarantine:
        console.print(f"erased {done.quarantine} refused records")
    for pack in done.packs:
        console.print(plain_text(f"deleted pack {pack}: it held what was erased"), soft_wrap=True)
    _show_staying(done.staying)
    if done.key_certificate:
        console.print(f"the person's key is destroyed; certificate {done.key_certificate}", soft_wrap=True)
    else:
        console.print(
            "the person's key stays for what is kept; the next purge after that ends goes on here", soft_wrap=True
        )
    searched = done.absence
    console.print(
        f"searched again: {searched.rows:,} rows decoded, {searched.decoded_bytes / 1e6:,.1f} MB; found nothing else",
        markup=False,
    )
    if not done.value_searched:
        console.print(
            "texts were searched for the token alone: the value may mean others too; --search-texts looks for it as well",
            soft_wrap=True,
        )


def _erased_json(done: "Erased") -> dict[str, Any]:
    import msgspec

    return {
        "erased": True,
        "erasure": done.note.id,
        "subject_ref": done.note.subject_ref,
        "certificates": [each.certificate.sha256 for each in done.purges],
        "rows": [dict(each.rows) for each in done.purges],
        "quarantine_entries": done.quarantine,
        "packs": list(done.packs),
        "staying": msgspec.to_builtins(done.staying),
        "key_certificate": done.key_certificate,
        "search": done.absence.to_json(),
        "value_searched": done.value_searched,
    }


def _show_notes(notes: "Sequence[Any]", *, json_: bool) -> None:
    if json_:
        print_json([{"erasure": note.id, "tenant": note.tenant, "subject_ref": note.subject_ref, "request": note.request,
                     "approved_by": note.approved_by, "kept": note.kept_since_unix_nano is not None} for note in notes])  # fmt: skip
        return
    for note in notes:
        state = "something is kept" if note.kept_since_unix_nano else "cut off"
        if note.request and not note.approved_by:
            state = f"waits for approval: muniment erase --approve {note.request}"
        console.print(plain_text(f"{note.id} {note.tenant} {note.subject_ref[:16]}… {state}"), soft_wrap=True)
    if not notes:
        console.print("none")
