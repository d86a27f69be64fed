"""What `muniment.yaml` may say about alerts: the targets as data, checked when settings are read. No secret stands in settings."""

from typing import Annotated, Literal

import msgspec

from pipelines.alerts.address import Address
from pipelines.alerts.alert import Severity
from warehouse.errors import NameRuleError
from warehouse.names import check_name

TargetType = Literal["alertmanager", "webhook", "pagerduty", "slack", "file"]

PAGERDUTY_URL = "https://events.pagerduty.com/v2/enqueue"
_NEEDS_URL = ("alertmanager", "webhook")
_NEEDS_SECRET = ("webhook", "pagerduty", "slack")


class TargetConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One place that alerts go to.

    `url` is the base URL of an Alertmanager, or the address that a webhook or PagerDuty's events go to; Slack's is the secret itself.
    `path` is a file target's file. The secret (a webhook's signing key, PagerDuty's routing key, Slack's URL, an Alertmanager's
    bearer token or `user:password`) is read from `secret_file`, which nobody else may read, or from the environment variable that
    `secret_variable` names. Only alerts of these `severities`, and of these `tenants` where some are named, go there; `watchdog`
    says whether the alert that always fires does, by default to an Alertmanager alone. `ca_file` is an authority to trust besides
    the system's; `unsafe_plain_http` allows http to another machine. An Alertmanager lets go of an alert that it did not hear of for
    `resolve_timeout_seconds`.
    """

    name: str
    type: TargetType
    url: str | None = None
    path: str | None = None
    secret_file: str | None = None
    secret_variable: str | None = None
    severities: list[Severity] = msgspec.field(default_factory=lambda: ["page", "ticket"])
    tenants: list[str] = msgspec.field(default_factory=list)
    watchdog: bool | None = None
    ca_file: str | None = None
    unsafe_plain_http: bool = False
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    resolve_timeout_seconds: Annotated[float, msgspec.Meta(ge=180)] = 300.0

    def __post_init__(self) -> None:
        try:
            check_name(self.name, "target")
        except NameRuleError as exc:
            raise ValueError(str(exc)) from exc  # what msgspec reports with the place in the file
        self._check_place()
        self._check_secret()
        if not self.severities:
            raise ValueError(f"target {self.name}: expected at least one of page, ticket, info in severities, got none")

    def _check_place(self) -> None:
        if (self.type == "file") != (self.path is not None):
            expected = "path" if self.type == "file" else "no path"
            raise ValueError(f"target {self.name}: expected {expected} for type {self.type}, got the opposite")
        if self.type in _NEEDS_URL and self.url is None:
            raise ValueError(f"target {self.name}: expected url for type {self.type}, got none")
        if self.url is None:
            return
        if self.type == "file":
            raise ValueError(f"target {self.name}: expected no url for type file, got one")
        if self.type == "slack":
            raise ValueError(f"target {self.name}: expected Slack's URL as the secret, which it is, got it as url")
        try:
            Address.parse(self.url, unsafe_plain_http=self.unsafe_plain_http)
        except ValueError as exc:
            raise ValueError(f"target {self.name}: {exc}") from exc

    def _check_secret(self) -> None:
        given = (self.secret_file is not None) + (self.secret_variable is not None)
        if given > 1:
            raise ValueError(f"target {self.name}: expected secret_file or secret_variable, got both")
        if self.type in _NEEDS_SECRET and not given:
            raise ValueError(
                f"target {self.name}: expected secret_file or secret_variable for type {self.type}, got neither"
            )
        if self.type == "file" and given:
            raise ValueError(f"target {self.name}: expected no secret for type file, got one")

    @property
    def takes_watchdog(self) -> bool:
        """Whether the alert that always fires goes here."""
        return self.type == "alertmanager" if self.watchdog is None else self.watchdog


class AlertsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether `muniment up` watches, how often, and whom it tells.

    `runbook_base_url` is where your copy of `docs/runbooks/` is. `on_metrics` says whether collectors show SLOs, alerts and incidents,
    with the names of tenants, on `/metrics` and by OTLP.
    """

    enabled: bool = True
    interval_seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 60.0
    runbook_base_url: str | None = None
    on_metrics: bool = True
    targets: list[TargetConfig] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        names = [target.name for target in self.targets]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"targets: expected each name once, got {', '.join(twice)} again")
        if self.runbook_base_url is not None:
            try:
                Address.parse(self.runbook_base_url, unsafe_plain_http=True)
            except ValueError as exc:
                raise ValueError(f"runbook_base_url: {exc}") from exc
