"""Events about who may act: agents, credentials, consent, access decisions and approvals.

Every method takes the keyword arguments of `Common` as well, returns a `Receipt` and raises as `Recorder._record` says.
"""

from collections.abc import Mapping
from typing import Unpack

from muniment.emit.errors import InvalidEventError
from muniment.emit.event import Common, Receipt, Recorder, Resource, Value, arguments_text, required


class IdentityEvents(Recorder):
    """`agent.*`, `credential.*`, `consent.*`, `access.decided` and `approval.*`."""

    def agent_registered(
        self,
        *,
        agent_id: str,
        agent_name: str | None = None,
        agent_version: str | None = None,
        **common: Unpack[Common],
    ) -> Receipt:
        """Record that an agent entered service."""
        return self._agent("agent.registered", common, agent_id, agent_name=agent_name, agent_version=agent_version)

    def agent_updated(
        self,
        *,
        agent_id: str,
        agent_name: str | None = None,
        agent_version: str | None = None,
        **common: Unpack[Common],
    ) -> Receipt:
        """Record that an agent changed, as a new version for example."""
        return self._agent("agent.updated", common, agent_id, agent_name=agent_name, agent_version=agent_version)

    def agent_suspended(self, *, agent_id: str, **common: Unpack[Common]) -> Receipt:
        """Record that an agent was stopped for a while; `reason` says why."""
        return self._agent("agent.suspended", common, agent_id, needs=("reason",))

    def agent_retired(self, *, agent_id: str, **common: Unpack[Common]) -> Receipt:
        """Record that an agent left service."""
        return self._agent("agent.retired", common, agent_id)

    def credential_issued(
        self, *, credential_id: str, expires_unix_nano: int | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that a credential was given out; `on_behalf_of` names who holds it. Never its secret."""
        return self._credential("credential.issued", common, credential_id, expires_unix_nano)

    def credential_rotated(
        self, *, credential_id: str, expires_unix_nano: int | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that a credential's secret was replaced."""
        return self._credential("credential.rotated", common, credential_id, expires_unix_nano)

    def credential_revoked(self, *, credential_id: str, **common: Unpack[Common]) -> Receipt:
        """Record that a credential is not valid any more; `reason` says why."""
        return self._credential("credential.revoked", common, credential_id, needs=("reason",))

    def credential_compromised(self, *, credential_id: str, **common: Unpack[Common]) -> Receipt:
        """Record that somebody else may know a credential; `reason` says what is known."""
        return self._credential("credential.compromised", common, credential_id, needs=("reason",))

    def consent_granted(
        self, *, purpose: str, expires_unix_nano: int | None = None, **common: Unpack[Common]
    ) -> Receipt:
        """Record that the person `subject_id` agreed to a purpose."""
        required("consent.granted", purpose=purpose)
        details = {"audit.purpose": purpose, "audit.expires_unix_nano": expires_unix_nano}
        return self._record("consent.granted", common, needs=("subject_id",), details=details)

    def consent_withdrawn(self, *, purpose: str, **common: Unpack[Common]) -> Receipt:
        """Record that the person `subject_id` agrees no more to a purpose."""
        required("consent.withdrawn", purpose=purpose)
        details = {"audit.purpose": purpose}
        return self._record("consent.withdrawn", common, needs=("subject_id",), details=details)

    def access_decided(self, **common: Unpack[Common]) -> Receipt:
        """Record who was allowed or denied what: `action`, `resource`, `outcome` and the `policy` that decided."""
        return self._record("access.decided", common, needs=("action", "resource", "outcome", "policy"))

    def approval_requested(
        self,
        *,
        action_digest: str | None = None,
        tool_name: str | None = None,
        tool_arguments: Mapping[str, Value] | str | None = None,
        expires_unix_nano: int | None = None,
        **common: Unpack[Common],
    ) -> Receipt:
        """Record that `approval_id` was asked for, for exactly one call: by tool and arguments, or by their digest."""
        details = _call("approval.requested", action_digest, tool_name, tool_arguments, expires_unix_nano)
        return self._record("approval.requested", common, needs=("approval_id", "action"), details=details)

    def approval_granted(
        self,
        *,
        action_digest: str | None = None,
        tool_name: str | None = None,
        tool_arguments: Mapping[str, Value] | str | None = None,
        expires_unix_nano: int | None = None,
        **common: Unpack[Common],
    ) -> Receipt:
        """Record that `actor` approved `approval_id`, for exactly one call and until it expires."""
        details = _call("approval.granted", action_digest, tool_name, tool_arguments, expires_unix_nano)
        return self._record("approval.granted", common, needs=("approval_id", "actor"), details=details)

    def approval_denied(self, *, action_digest: str | None = None, **common: Unpack[Common]) -> Receipt:
        """Record that `actor` refused `approval_id`."""
        details = {"audit.action.digest": action_digest}
        needs = ("approval_id", "actor")
        return self._record("approval.denied", common, needs=needs, outcome="denied", details=details)

    def approval_expired(self, *, action_digest: str | None = None, **common: Unpack[Common]) -> Receipt:
        """Record that nobody answered `approval_id` in time, or that it was not used in time."""
        details = {"audit.action.digest": action_digest}
        return self._record("approval.expired", common, needs=("approval_id",), outcome="failure", details=details)

    def _agent(
        self,
        name: str,
        common: Common,
        agent_id: str,
        *,
        agent_name: str | None = None,
        agent_version: str | None = None,
        needs: tuple[str, ...] = (),
    ) -> Receipt:
        required(name, agent_id=agent_id)
        details = {"gen_ai.agent.id": agent_id, "gen_ai.agent.name": agent_name, "gen_ai.agent.version": agent_version}
        return self._record(name, common, needs=needs, about=Resource("agent", agent_id), details=details)

    def _credential(
        self,
        name: str,
        common: Common,
        credential_id: str,
        expires_unix_nano: int | None = None,
        needs: tuple[str, ...] = (),
    ) -> Receipt:
        required(name, credential_id=credential_id)
        about = Resource("credential", credential_id)
        details: dict[str, Value] = {"audit.credential.id": credential_id, "audit.expires_unix_nano": expires_unix_nano}
        return self._record(name, common, needs=needs, about=about, details=details)


def _call(
    name: str,
    action_digest: str | None,
    tool_name: str | None,
    tool_arguments: Mapping[str, Value] | str | None,
    expires_unix_nano: int | None,
) -> dict[str, Value]:
    """Attributes that bind an approval to one call; the lake digests tool and arguments as it does a span's."""
    if not action_digest and not (tool_name and tool_arguments is not None):
        raise InvalidEventError(
            f"{name} is bound to no call: expected action_digest, or tool_name and tool_arguments, got neither"
        )
    return {
        "audit.action.digest": action_digest,
        "audit.expires_unix_nano": expires_unix_nano,
        "gen_ai.tool.name": tool_name,
        "gen_ai.tool.call.arguments": arguments_text(tool_arguments),
    }
