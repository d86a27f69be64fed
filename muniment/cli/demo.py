"""`muniment demo`."""

from pathlib import Path
from typing import Any

import typer

from muniment.cli.output import JsonOption, LakeOption, console, notes, on_terminal, print_json

DEFAULT_SEED = 7


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("demo", epilog="Example: muniment demo --lake demo-lake --seed 7")(demo)


def demo(
    lake: LakeOption = None,
    seed: int = typer.Option(DEFAULT_SEED, "--seed", help="The same seed makes the same fleet."),
    days: int = typer.Option(30, "--days", min=7, max=90, help="Days simulated, ending now."),
    scale: float = typer.Option(1.0, "--scale", min=0.01, max=20.0, help="More or fewer runs of the agents."),
    fresh: bool = typer.Option(False, "--fresh", help="Remove the demo lake that is there and make it anew."),
    json_: JsonOption = False,
) -> None:
    """Simulate an agent fleet and send it, with the real OpenTelemetry SDK, through everything into a lake of its own."""
    import shutil

    from muniment.demo.summary import render_summary, this_program
    from muniment.demo_lake import UNFINISHED_FILE, existing_truth, make_demo, remove_unfinished
    from muniment.environment import lake_folder

    folder = lake_folder(lake).absolute()
    if remove_unfinished(folder):
        notes.print(f"{folder} held an unfinished demo; it is made anew", markup=False, soft_wrap=True)
    truth = existing_truth(folder)
    if truth is not None and fresh:
        shutil.rmtree(folder)
        truth = None
    if truth is not None:
        _show_existing(folder, truth, json_=json_)
        return
    bar = None
    if on_terminal() and not json_:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        bar = Progress(
            TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), console=notes, transient=True
        )
        bar.start()
        task = bar.add_task("demo", total=1.0)
    try:
        run = make_demo(
            folder,
            seed=seed,
            days=days,
            scale=scale,
            progress=(lambda share: bar.update(task, completed=share)) if bar else (lambda _share: None),
            stage=(lambda text: bar.update(task, description=text)) if bar else (lambda _text: None),
        )
    except KeyboardInterrupt:
        if (folder / UNFINISHED_FILE).is_file():
            said = f"interrupted: {folder} holds an unfinished demo; the next run makes it anew"
            notes.print(said, markup=False, soft_wrap=True)
        raise
    finally:
        if bar:
            bar.stop()
    if json_:
        print_json({"lake": str(run.lake), "seconds": run.seconds, "truth": run.result.truth, "judged": run.judged})
        return
    console.print(
        render_summary(run.result, run.seconds, lake=run.lake, program=this_program(), judged=run.judged),
        soft_wrap=True,
    )


def _show_existing(folder: Path, truth: dict[str, Any], *, json_: bool) -> None:
    from muniment.demo.summary import TRUTH_NOTE, next_commands, this_program

    if json_:
        print_json({"lake": str(folder), "seconds": {}, "truth": truth})
        return
    console.print(f"the demo lake is there already, made with seed {truth['seed']}: {folder}", soft_wrap=True)
    console.print("try:", style="bold")
    for command in next_commands(truth, folder, program=this_program()):
        console.print(command, style="cyan", markup=False, soft_wrap=True)
    console.print(TRUTH_NOTE, style="dim", markup=False)
    console.print("(--fresh removes it and makes it anew)", style="dim", markup=False)
