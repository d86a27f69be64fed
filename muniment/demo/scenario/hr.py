"""Questions of employees about work, pay and leave."""

from collections.abc import Callable

from muniment.demo.fleet import Agent
from muniment.demo.run import start_run
from muniment.demo.world import World

_WORKFLOW = "hr-question"
_TOPICS = ("parental leave", "overtime", "sick pay", "pension", "working abroad", "notice period")


def answer(world: World, agent: Agent, at: int) -> None:
    """An employee asks; the agent looks it up, files leave, or is refused a file that it may not read."""
    rng, employee = world.rng, world.employee(agent)
    kind = rng.choices(("question", "leave", "file"), (60, 28, 12))[0]
    topic = rng.choice(_TOPICS)
    # Made on demand: a value that is read counts as planted.
    texts: dict[str, Callable[[], str]] = {
        "question": lambda: f"Hello, {employee.name} here. How does {topic} work for me?",
        "leave": lambda: (
            f"{employee.name} ({employee.email}) would like to take leave next month, {rng.randrange(2, 15)} days."
        ),
        "file": lambda: f"What does {employee.name} earn, and on which account {employee.iban} is it paid?",
    }
    text = texts[kind]()
    with start_run(world, agent, at, workflow=_WORKFLOW, text=text, user=employee.id) as run:
        run.look_up(
            "handbook", topic, [(f"hb-{topic[:3]}", 0.9, f"Section on {topic}"), ("hb-gen", 0.71, "General terms")]
        )
        if kind == "file":
            use = run.plan("read_personnel_file", {"employee": employee.id, "part": "pay"}, {"pay": "withheld"})
            run.chat(text, "I would have to read the file.", wants=use)
            allowed = world.chance(0.25)
            run.decided(
                "read_personnel_file", ("personnel-file", employee.id), allowed=allowed, policy=("personnel-files", "2"),
                use=use, reason=None if allowed else "asker is neither the employee nor their manager",
            )  # fmt: skip
            if allowed:
                run.call(use)
            run.chat(
                "Answer.", "I answered by letter." if allowed else "I may not tell you this. Please ask HR in person."
            )
        elif kind == "leave":
            run.act(text, "I file it.", run.plan("submit_leave", {"employee": employee.id}, {"request": "filed"}))
            run.message("chat", employee.email, "Your leave request is filed; your manager decides.")
        else:
            run.act(text, "I search the handbook.", run.plan("search_policies", {"topic": topic}, {"hits": 2}))
            run.chat(f"Answer about {topic}.", f"The handbook says about {topic}: see section {rng.randrange(2, 19)}.")
        run.log("INFO", f"question about {topic} answered")
