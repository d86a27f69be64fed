"""Who may do what: Cedar policies, asked before every command, page, job and request.

What no policy permits is denied; a `forbid` beats every `permit`; a policy that fails while it is evaluated denies. The policies
are files of the lake (`LAKE/policies/access/`), in force once applied; where none were applied the package's own hold. Only this
package knows that the engine is Cedar.
"""

from governance.access.actions import Action
from governance.access.authorizer import Access, group_name, local_principal, user_name
from governance.access.decision import Decision
from governance.access.grants import ASSIGNABLE_ROLES, Role

__all__ = ["ASSIGNABLE_ROLES", "Access", "Action", "Decision", "Role", "group_name", "local_principal", "user_name"]
