"""Conversations with patients before their appointment."""

from muniment.demo.audit import Actor, Event
from muniment.demo.fleet import Agent
from muniment.demo.run import start_run
from muniment.demo.world import World

_WORKFLOW = "patient-intake"
_DEPARTMENTS = ("cardiology", "neurology", "dermatology", "internal medicine", "gynaecology")


def talk(world: World, agent: Agent, at: int) -> None:
    """A patient tells what is wrong; the agent asks back, writes the note, and books an appointment."""
    rng, patient = world.rng, world.subject(agent)
    department = rng.choice(_DEPARTMENTS)
    text = f"Good day, I am {patient.name}. I need an appointment. I have {patient.health_note}."
    with start_run(world, agent, at, workflow=_WORKFLOW, text=text, user=patient.id) as run:
        person = Actor(patient.id, "human")
        if world.chance(0.22):
            consent = Event(
                "consent.granted", person, "grant", "purpose", "intake-note", subject_id=patient.id,
                extra={"audit.purpose": "intake-note"},
            )  # fmt: skip
            run.record(consent)
        run.step("guardrail: no diagnosis", {"openinference.span.kind": "GUARDRAIL", "guardrail.passed": True}, 0.02)
        run.look_up(
            "intake-guide",
            f"questions for {department}",
            [
                (f"guide-{department}-1", 0.91, "Ask since when and how often."),
                (f"guide-{department}-2", 0.84, "Ask for drugs."),
            ],
        )
        question = "Since when do you have this, and which drugs do you take?"
        run.chat(text, question)
        answer = "Since some weeks. You can reach me on " + patient.phone
        history = (("user", text), ("assistant", question))
        if world.chance(0.03):
            run.chat(answer, "I understand. I do not keep a note then.", history=history)
            withdrawn = Event(
                "consent.withdrawn", person, "withdraw", "purpose", "intake-note", subject_id=patient.id,
                extra={"audit.purpose": "intake-note"},
            )  # fmt: skip
            run.record(withdrawn)
            return
        note = {"patient": patient.id, "note": patient.health_note, "department": department}
        save = run.plan("save_anamnesis", note, {"saved": True})
        run.chat(answer, "Thank you. I write this down.", wants=save, history=history)
        run.call(save)
        slot = f"2-{rng.randrange(8, 17)}:{rng.choice(('00', '20', '40'))}"
        run.call(run.plan("find_appointment", {"department": department}, {"slots": [slot]}))
        booked = run.act(
            "Yes, please book it.",
            f"I book {slot} in {department}.",
            run.plan("book_appointment", {"patient": patient.id, "slot": slot}, {"booked": True}),
        )
        if not booked:
            run.escalate("the slot was taken meanwhile")
        elif world.chance(0.3):
            run.message("sms", patient.phone, f"Your appointment: {slot}, {department}.")
        if world.chance(0.1):
            run.evaluated("no-diagnosis", min(1.0, world.around(0.93, 0.08)))
        run.log("INFO", f"intake for {department} done")
