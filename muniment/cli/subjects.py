"""`muniment reveal` and `muniment subject find|shred`: whose a token is, and that nobody may know it any more.

`muniment subject report` is a module of its own.
"""

from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.output import JsonOption, LakeOption, TenantOption, console, notes, plain_text, print_json
from muniment.cli.subject_report import (
    REPORT_EXAMPLES,
    AttributeOption,
    TextsOption,
    parse_attribute,
    print_counts,
    read_value,
    report,
)

if TYPE_CHECKING:  # at run time it would make every command wait for the lake's libraries
    from muniment.subjects import Shredded

EXIT_NO = 1
TokenArgument = Annotated[str, typer.Argument(metavar="TOKEN", help="sub_ and 26 characters.")]
ReasonOption = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, for the record.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command(
        "reveal",
        epilog="Example: muniment reveal sub_vrngydrr3ln74lrifoxdwt26nq --tenant acme --reason 'ticket 4711'",
    )(reveal)
    group = typer.Typer(help="People behind tokens: found, and forgotten for good.", no_args_is_help=True)
    group.command("find", epilog="Example: muniment subject find --tenant acme --where < value.txt")(find)
    group.command("report", epilog=REPORT_EXAMPLES)(report)
    group.command(
        "shred",
        epilog="Examples: muniment subject shred --value - --tenant acme --reason 'request 12' < value.txt\n\n"
        "muniment subject shred sub_vrngydrr3ln74lrifoxdwt26nq --tenant acme --reason 'request 12' --yes",
    )(shred)
    app.add_typer(group, name="subject")


def reveal(
    token: TokenArgument, tenant: TenantOption, reason: ReasonOption, lake: LakeOption = None, json_: JsonOption = False
) -> None:
    """Say who stands behind a token; that you asked, and why, is recorded in the tenant's log first."""
    from muniment.subjects import reveal_subject
    from muniment.wiring import command_context

    value = reveal_subject(command_context(lake), tenant=tenant, token=token, reason=reason)
    if json_:
        print_json({"tenant": tenant, "token": token, "value": value})
    else:
        console.print(plain_text(value), soft_wrap=True)


def find(
    tenant: TenantOption,
    source: Annotated[str, typer.Argument(metavar="[-]", help="Only standard input: arguments can be seen.")] = "-",
    where: Annotated[bool, typer.Option("--where", help="Count the rows that name the person, by table.")] = False,
    search_texts: TextsOption = False,
    attribute: AttributeOption = None,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> int:
    """Print the token of a value, which is read from standard input; exit code 1 where the tenant has none."""
    from muniment.subjects import find_subject
    from muniment.wiring import command_context
    from retention.subject_finds import SubjectTerms
    from retention.subject_search import search_subject
    from warehouse.errors import InputError

    attributes = [parse_attribute(each) for each in attribute or ()]
    if (search_texts or attributes) and not where:
        raise InputError("--search-texts and --attribute: expected --where with them, got none")

    if source != "-":
        raise InputError(
            "value: expected it on standard input, got an argument, which other users of this machine can see",
            hint="muniment subject find --tenant T < FILE",
        )
    context = command_context(lake)
    value = read_value()
    token = find_subject(context, tenant=tenant, value=value)
    terms = SubjectTerms.of([value] if token is None else [token, value], attributes)
    finds = search_subject(context.lake, tenant, terms, texts=search_texts or bool(attributes)) if where else None
    if json_:
        counts = {} if finds is None else {"where": [count.to_json() for count in finds.counts()]}
        print_json({"tenant": tenant, "token": token, **counts})
        return 0 if token else EXIT_NO
    if token is None:
        notes.print(f"tenant {tenant} has no token of this value: never seen, or its key was destroyed", markup=False)
    else:
        typer.echo(token)
    if finds is not None:
        print_counts(finds)
    return 0 if token else EXIT_NO


def shred(
    *,
    token: Annotated[str | None, typer.Argument(metavar="[TOKEN]", help="sub_ and 26 characters.")] = None,
    value: Annotated[
        str | None, typer.Option("--value", metavar="V", help="The value instead; - reads it from standard input.")
    ] = None,
    tenant: TenantOption,
    reason: ReasonOption,
    yes: Annotated[bool, typer.Option("--yes", help="Carry it out; without, only show it.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Destroy the key behind a token: nobody can say any more whose it was. Shows what it would do; --yes does it."""
    from muniment.holding import keep_held
    from muniment.subjects import finish_shreddings, shred_subject, subject_to_shred
    from muniment.wiring import command_context

    context = command_context(lake)
    given = read_value() if value == "-" else value
    for done in finish_shreddings(context, tenant) if yes else ():
        if done.token == token:
            _print_done(done, None, as_json=json_)
            return
        _print_done(done, None, as_json=False)
    key = subject_to_shred(context, tenant=tenant, token=token, value=given)
    keeper = keep_held(context)
    keeper(tenant, key.token)
    if not yes:
        if json_:
            print_json({"planned": True, "tenant": tenant, "token": key.token, "key_id": key.key_id})
            return
        _say(f"would destroy key {key.key_id} behind {key.token} of tenant {tenant}, for good.")
        _say(
            "Rows stay and go on verifying; nobody can say any more whose the token was. Copies of the vault made earlier"
        )
        _say("still can, and what rows say besides the token may name the person. --yes carries it out.")
        return
    nonces: list[str] = []

    def announce(nonce: str) -> None:
        nonces.append(nonce)
        if not json_:
            _say("The certificate names the subject only under this nonce, which is shown this once and kept nowhere:")
            typer.echo(nonce)

    done = shred_subject(context, tenant=tenant, token=key.token, reason=reason, announce_nonce=announce, keeper=keeper)
    _print_done(done, nonces[0], as_json=json_)


def _print_done(done: "Shredded", nonce: str | None, *, as_json: bool) -> None:
    document = done.document
    if as_json:
        print_json({
            "tenant": document.tenant,
            "key_id": document.key_id,
            "subject_ref": document.subject_ref,
            "token_ref": document.token_ref,
            "nonce": nonce,
            "certificate": str(done.file),
            "certificate_sha256": done.certificate_sha256,
            "interrupted": document.interrupted,
        })  # fmt: skip
        return
    if document.interrupted:
        _say("An earlier shredding was interrupted after its key was destroyed; it is finished now.")
    _say(f"Key {document.key_id} of tenant {document.tenant} is destroyed; reading it back was refused.")
    _say(f"Certificate: {done.file}")


def _say(message: str) -> None:
    notes.print(message, markup=False, soft_wrap=True)
