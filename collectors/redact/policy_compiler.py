"""From policy files to the policy in force, or to a list of everything that is wrong with them.

An error in one policy does not hide those of the others; nothing is compiled unless all of it is right.
"""

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

from collectors.redact.detector import Detector
from collectors.redact.policy import RedactionPolicy, TenantPolicy
from collectors.redact.policy_config import PolicyFile
from collectors.redact.policy_reader import PolicyReader, SharedDetectors
from warehouse.errors import NameRuleError
from warehouse.names import check_name
from warehouse.policies import Bundle, PolicyError, Problem, read_bundle
from warehouse.policies.entries import Once, read_entries
from warehouse.policies.family import list_family
from warehouse.policies.yaml_lines import Document, Place

KIND = "redaction"
EVERY_OTHER_TENANT = "*"


def compile_policy(bundle: Bundle, known: Mapping[str, Detector]) -> RedactionPolicy:
    """Compile a lake's redaction policies; `known` are the detectors of the package by name.

    Raises:
        PolicyError: they cannot be used; `problems` names everything that is wrong, by file, line and key.
    """
    if not bundle.files:
        message = "got no file, expected one policy or more"
        raise PolicyError([Problem(f"{bundle.kind}/*.yaml", 1, "", message)])
    compiler = _Compiler(bundle.content_hash, known)
    for document, content in read_entries(bundle, PolicyFile, "redaction", "policy", compiler.problems):
        compiler.read_file(document, content)
    if compiler.problems:
        raise PolicyError(compiler.problems)
    others = compiler.tenants.pop(EVERY_OTHER_TENANT, None) or strict_policy(known).others
    return RedactionPolicy(
        bundle.content_hash,
        MappingProxyType(compiler.tenants),
        others,
        MappingProxyType({**known, **compiler.shared.detectors}),
    )


def strict_policy(known: Mapping[str, Detector]) -> RedactionPolicy:
    """The policy that comes with the package, compiled: what is in force where none was applied."""
    return compile_policy(default_bundle(), known)


def default_bundle() -> Bundle:
    """The policy that comes with the package: strict, for every tenant."""
    return read_bundle(KIND, dict(default_policy_files()))


def default_policy_files() -> list[tuple[str, bytes]]:
    """Name and content of each redaction policy in the package, for `muniment init` to copy."""
    folder = files("collectors.redact") / "default_policies"
    return sorted((entry.name, entry.read_bytes()) for entry in folder.iterdir() if entry.name.endswith(".yaml"))


FAMILY = list_family(
    KIND,
    "redaction policies",
    default_bundle,
    package="collectors.redact",
    key="redaction",
    name="name",
    group="policy",
)


class _Compiler:
    """Reads the files of one bundle, and keeps what holds across them: each name and each tenant stands once."""

    def __init__(self, content_hash: str, known: Mapping[str, Detector]) -> None:
        self.problems: list[Problem] = []
        self.tenants: dict[str, TenantPolicy] = {}
        self.shared = SharedDetectors()
        self._content_hash = content_hash
        self._known = known
        self._names = Once(self.problems)
        self._claims = Once(self.problems)

    def read_file(self, document: Document, content: PolicyFile) -> None:
        """Compile the policies of one file."""
        for at, config in enumerate(content.redaction):
            place: Place = ("redaction", at)
            reader = PolicyReader(document, place, config, known=self._known, shared=self.shared)
            policy = reader.compile(self._content_hash)
            self.problems += reader.problems
            self._names.claim(document, (*place, "name"), config.name)
            for number, tenant in enumerate(config.tenants):
                self._read_tenant(document, (*place, "tenants", number), tenant, policy)

    def _read_tenant(self, document: Document, place: Place, tenant: str, policy: TenantPolicy) -> None:
        try:
            if tenant != EVERY_OTHER_TENANT:
                check_name(tenant, "tenant")
        except NameRuleError as exc:
            self.problems.append(document.problem(place, str(exc)))
            return
        self._claims.claim(document, place, tenant)
        self.tenants.setdefault(tenant, policy)
