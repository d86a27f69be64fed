"""The answer to one question, with what an audit event needs to say about it."""

from dataclasses import dataclass

DEFAULT_DENY = "default-deny"
"""Stands for a policy's id where none decided: what no policy permits is denied."""


@dataclass(frozen=True)
class Decision:
    """One answer.

    Attributes:
        allowed: whether it may be done.
        reason: why, in a few words.
        policy_id: the ids of the policies that decided, with commas between them; `default-deny` where none did.
        policy_version: the hash of the policy files that were in force.
    """

    allowed: bool
    reason: str
    policy_id: str
    policy_version: str

    @property
    def policies(self) -> tuple[str, ...]:
        """The ids one by one."""
        return tuple(self.policy_id.split(","))
