"""Events about what changed in an agent system: tools, prompts, models, routes, gates, releases, migrations, evaluations.

Every method takes the keyword arguments of `Common` as well, returns a `Receipt` and raises as `Recorder._record` says.
`before` and `after` are versions or digests, never the content.
"""

from collections.abc import Mapping
from typing import Unpack

from muniment.emit.errors import InvalidEventError
from muniment.emit.event import Common, Receipt, Recorder, Resource, Value, required


class ChangeEvents(Recorder):
    """`tool.changed`, `prompt.changed`, `model.switched`, `route.decided`, `gate.*`, `release.*`, `migration.*` and reviews."""

    def tool_changed(self, *, tool_name: str, before: str | None, after: str, **common: Unpack[Common]) -> Receipt:
        """Record that a tool's definition or code changed; `before` is None for a new tool."""
        required("tool.changed", tool_name=tool_name, after=after)
        details = {"gen_ai.tool.name": tool_name}
        return self._change(
            "tool.changed", common, Resource("tool", tool_name), before=before, after=after, details=details
        )

    def prompt_changed(self, *, prompt_name: str, before: str | None, after: str, **common: Unpack[Common]) -> Receipt:
        """Record that a prompt has a new version; `before` is None for a new prompt."""
        required("prompt.changed", prompt_name=prompt_name, after=after)
        details = {"gen_ai.prompt.name": prompt_name, "gen_ai.prompt.version": after}
        return self._change(
            "prompt.changed", common, Resource("prompt", prompt_name), before=before, after=after, details=details
        )

    def model_switched(
        self, *, agent_id: str, before: str | None, after: str, provider: str | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that an agent runs on another model; `approval_id` names the approval for it."""
        required("model.switched", agent_id=agent_id, after=after)
        details = {"gen_ai.agent.id": agent_id, "gen_ai.request.model": after, "gen_ai.provider.name": provider}
        return self._change(
            "model.switched", common, Resource("model", after), before=before, after=after, details=details
        )

    def route_decided(
        self, *, provider: str, model: str, data_class: str, region: str | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record where data of a class was sent, or with `outcome="denied"` was kept from going, by which `policy`."""
        required("route.decided", provider=provider, model=model, data_class=data_class)
        details = {
            "gen_ai.provider.name": provider,
            "gen_ai.request.model": model,
            "audit.data_class": data_class,
            "audit.region": region,
        }
        about = Resource("model", f"{provider}/{model}")
        return self._record("route.decided", common, needs=("policy",), about=about, details=details)

    def gate_evaluated(self, *, gate_id: str, **common: Unpack[Common]) -> Receipt:
        """Record that a gate let something pass or not, as `outcome`; `resource` names what stood before it."""
        required("gate.evaluated", gate_id=gate_id)
        return self._record("gate.evaluated", common, needs=("resource", "outcome"), details={"audit.gate.id": gate_id})

    def release_promoted(
        self, *, release_id: str, environment: str, before: str | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that a release went to an environment; `before` is the release that ran there."""
        required("release.promoted", release_id=release_id, environment=environment)
        about, details = Resource("release", release_id), {"audit.environment": environment}
        return self._change("release.promoted", common, about, before=before, after=release_id, details=details)

    def migration_started(self, *, migration_id: str, **common: Unpack[Common]) -> Receipt:
        """Record that a migration began."""
        return self._migration("migration.started", common, migration_id)

    def migration_cutover(self, *, migration_id: str, **common: Unpack[Common]) -> Receipt:
        """Record that the new system took over."""
        return self._migration("migration.cutover", common, migration_id)

    def migration_rolled_back(self, *, migration_id: str, **common: Unpack[Common]) -> Receipt:
        """Record that the old system took over again; `reason` says why."""
        return self._migration("migration.rolled_back", common, migration_id, needs=("reason",))

    def evaluation_recorded(
        self,
        *,
        evaluation_name: str,
        score: float | None = None,
        label: str | None = None,
        explanation: str | None = None,
        **common: Unpack[Common],
    ) -> Receipt:
        """Record the result of an evaluation, as a score, a label or both; `resource` names what was evaluated."""
        required("evaluation.recorded", evaluation_name=evaluation_name)
        if score is None and not label:
            raise InvalidEventError("evaluation.recorded has no result: expected score or label, got neither")
        details: dict[str, Value] = {
            "gen_ai.evaluation.name": evaluation_name,
            "gen_ai.evaluation.score.value": score,
            "gen_ai.evaluation.score.label": label,
            "gen_ai.evaluation.explanation": explanation,
        }
        return self._record("evaluation.recorded", common, needs=("resource",), details=details)

    def _change(
        self,
        name: str,
        common: Common,
        about: Resource,
        *,
        before: str | None,
        after: str,
        details: Mapping[str, str | None],
    ) -> Receipt:
        change = {**details, "audit.change.before": before, "audit.change.after": after}
        return self._record(name, common, about=about, details=change)

    def _migration(self, name: str, common: Common, migration_id: str, needs: tuple[str, ...] = ()) -> Receipt:
        required(name, migration_id=migration_id)
        return self._record(name, common, needs=needs, about=Resource("migration", migration_id))
