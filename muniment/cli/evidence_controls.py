"""`muniment evidence controls`, `adopt`: the controls in force against those that this version ships, and taking these over."""

from typing import TYPE_CHECKING, Annotated

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, on_terminal, plain_text, print_json
from warehouse.errors import InputError

if TYPE_CHECKING:
    from governance.controls.adoption import Adoption

_MEANINGS = {
    "new": "ships with this version, was never in force here",
    "changed": "what is in force came with an older version",
    "no longer shipped": "came with an older version, and with this one no more",
    "own": "written here",
    "changed here": "the text in force is your own; adopting leaves it",
    "removed here": "taken out here; adopting leaves it out",
}


def register_controls(group: typer.Typer) -> None:
    """Add the commands of this module to `muniment evidence`."""
    group.command("controls", epilog="Example: muniment evidence controls --diff")(controls)
    group.command("adopt", epilog="Example: muniment evidence adopt --yes")(adopt)


def controls(
    diff: Annotated[
        bool, typer.Option("--diff", help="Also what adopting would change in the files, line by line.")
    ] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Say which controls in force differ from those that this version ships: new, changed, own, changed or removed here.

    A lake keeps the controls that it applied, whatever newer versions ship, until `evidence adopt`.
    """
    from muniment.adopting import read_adoption
    from muniment.wiring import command_context

    found = read_adoption(command_context(lake))
    if json_:
        print_json(_json(found))
        return
    _print(found, diff=diff)


def adopt(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    lake: LakeOption = None,
    json_: JsonOption = False,
) -> None:
    """Take over the controls that this version ships, and keep your own: in force, in LAKE/policies/controls, on record.

    Controls that were written, changed or removed here stay as they are. Recorded as `policy.changed`, like any applied policy.
    """
    from muniment.adopting import adopt_controls, read_adoption
    from muniment.wiring import command_context

    context = command_context(lake)
    found = read_adoption(context)
    if found.waits and not json_:
        _print(found, diff=True)
    if found.waits and not yes:
        if json_ or not on_terminal():
            raise InputError(
                "evidence adopt: expected --yes where nobody can be asked",
                hint="look at `muniment evidence controls --diff` first",
            )
        typer.confirm("Put this in force?", abort=True, err=True)
    adopted, applied = adopt_controls(context)
    if json_:
        print_json(_json(adopted) | {"applied": applied is not None})
    elif applied is None:
        console.print("nothing to adopt: everything that this version ships is in force, or was changed here")
    else:
        console.print(
            f"controls: revision {applied.revision} is in force ({applied.content_hash})", markup=False, soft_wrap=True
        )


def _print(found: "Adoption", *, diff: bool) -> None:
    from governance.controls.adoption import Standing
    from warehouse.policies import compare

    counts = found.counts()
    console.print(f"{counts[Standing.SAME]:,} controls in force are those that this version ships")
    for standing, meaning in _MEANINGS.items():
        for name in found.named(Standing(standing)):
            console.print(plain_text(f"  {name}: {standing} ({meaning})"), soft_wrap=True)
    if not found.waits:
        return
    if diff:
        typer.echo(compare(found.before, found.after).unified, nl=False)
    notes.print("`muniment evidence adopt` takes over what is new, changed or no longer shipped", markup=False)


def _json(found: "Adoption") -> dict[str, object]:
    from warehouse.policies import compare

    return {
        "waits": found.waits,
        "in_force": found.before.content_hash,
        "adopted": found.after.content_hash,
        "controls": [
            {"framework": framework, "control": name or None, "standing": standing.value}
            for (framework, name), standing in found.standings.items()
        ],
        "diff": compare(found.before, found.after).unified,
    }
