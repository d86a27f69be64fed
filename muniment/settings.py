"""Settings of a lake: `LAKE/muniment.yaml`, read and checked at start.

Every section is a frozen struct beside the code that it steers; an unknown key anywhere is an error.
"""

from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import yaml

from collectors.config import ImportLimitsConfig, LimitsConfig, ReceiversConfig
from collectors.intake import IntakeConfig
from muniment.sign_in import SignInConfig
from muniment.telemetry import TelemetryConfig
from pipelines.alerts.config import AlertsConfig
from warehouse.backup.config import BackupConfig
from warehouse.errors import SettingsError
from warehouse.lake import Lake
from warehouse.ledger.errors import NoteError
from warehouse.maintenance import MaintenanceConfig
from warehouse.names import check_name
from warehouse.query import QuerySettings
from warehouse.writer import WriterConfig


class WitnessConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A witness that cosigns this lake's own log: the URL before `/add-checkpoint`, and its public key."""

    url: str
    vkey: str

    def __post_init__(self) -> None:
        from warehouse.ledger.witnessing import parse_endpoint

        try:
            parse_endpoint(self.url, self.vkey)
        except NoteError as exc:
            raise ValueError(str(exc)) from exc  # what msgspec reports with the place in the file


class DagsterConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether `muniment up` runs Dagster, and where its pages are: `port` of this machine alone.

    The pages ask nobody who they are, and answer whatever page a browser here has open; so they only show, unless `read_only` is false.
    """

    enabled: bool = True
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 3000
    read_only: bool = True


class DashboardsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whether `muniment up` runs the pages, on which `port` of this machine, and by which provider people sign in."""

    enabled: bool = True
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 8501
    sign_in: SignInConfig | None = None


class EvidenceConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Of which `frameworks` a pack is built every month, of all that are computed unless some are named.

    A pack goes `keep_days` after its month, seven years unless said otherwise, and later while a hold of its tenant is in force.
    """

    frameworks: list[str] | None = None
    keep_days: Annotated[int, msgspec.Meta(ge=31)] = 2_557


class MunimentConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that `muniment.yaml` may say.

    `lake` is the lake's name, the first part of each log's origin. `control_url` names a control database other than
    `LAKE/control.db`; `control_url_file` names a file that holds it, so that no password stands in the settings; `vault_url`
    and `vault_url_file` do the same for the vault of subjects, `LAKE/keys/subjects.db`. `users` gives roles to local users besides the owner: role → user names. `witnesses` are asked every `witness_interval_seconds` to
    cosign what this lake says about itself. A collector says every `heartbeat_seconds` that it listens. For
    `rotation_overlap_days` after a rotation of the signing key checkpoints carry the old key's signature too. A collector asks
    every `policy_poll_seconds` whether another policy was applied. Who signed in on a page is asked to sign in again after
    `session_hours`. `alerts` says who is told what fires. `four_eyes` says when what cannot be
    undone, such as releasing a hold, waits for a second principal: as soon as two hold the right (`auto`), always, or never.
    """

    lake: str = "lake"
    control_url: str | None = None
    control_url_file: str | None = None
    vault_url: str | None = None
    vault_url_file: str | None = None
    users: dict[str, list[str]] = msgspec.field(default_factory=dict)
    receivers: ReceiversConfig = msgspec.field(default_factory=ReceiversConfig)
    limits: LimitsConfig = msgspec.field(default_factory=LimitsConfig)
    import_limits: ImportLimitsConfig = msgspec.field(default_factory=ImportLimitsConfig)
    intake: IntakeConfig = msgspec.field(default_factory=IntakeConfig)
    writer: WriterConfig = msgspec.field(default_factory=WriterConfig)
    query: QuerySettings = msgspec.field(default_factory=QuerySettings)
    maintenance: MaintenanceConfig = msgspec.field(default_factory=MaintenanceConfig)
    backup: BackupConfig = msgspec.field(default_factory=BackupConfig)
    dagster: DagsterConfig = msgspec.field(default_factory=DagsterConfig)
    dashboards: DashboardsConfig = msgspec.field(default_factory=DashboardsConfig)
    alerts: AlertsConfig = msgspec.field(default_factory=AlertsConfig)
    evidence: EvidenceConfig = msgspec.field(default_factory=EvidenceConfig)
    telemetry: TelemetryConfig = msgspec.field(default_factory=TelemetryConfig)
    witnesses: list[WitnessConfig] = msgspec.field(default_factory=list)
    witness_interval_seconds: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    heartbeat_seconds: Annotated[float, msgspec.Meta(gt=0)] = 300.0
    rotation_overlap_days: Annotated[int, msgspec.Meta(ge=0, le=3650)] = 30
    policy_poll_seconds: Annotated[float, msgspec.Meta(gt=0)] = 2.0
    four_eyes: Literal["auto", "always", "never"] = "auto"
    session_hours: Annotated[float, msgspec.Meta(gt=0)] = 8.0


def read_settings(lake: Lake) -> MunimentConfig:
    """Read and check the lake's settings.

    Raises:
        SettingsError: not YAML, an unknown key, a wrong type, or a value out of range; the message names the place.
    """
    file = lake.settings_file
    try:
        content: Any = yaml.safe_load(file.read_text(encoding="utf8")) or {}
        settings = msgspec.convert(content, MunimentConfig)
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{file}: {exc}", hint="docs/reference/settings.md lists every setting") from exc
    check_name(settings.lake, "lake")
    return settings


def control_url(lake: Lake, settings: MunimentConfig) -> str | Path:
    """URL of the lake's control database, or the path of its file.

    Raises:
        SettingsError: both ways of naming it are used, or the file cannot be read.
    """
    return _url("control_url", settings.control_url, settings.control_url_file) or lake.control_file


def vault_url(lake: Lake, settings: MunimentConfig) -> str | Path:
    """URL of the lake's vault of subjects, or the path of its file.

    Raises:
        SettingsError: both ways of naming it are used, or the file cannot be read.
    """
    return _url("vault_url", settings.vault_url, settings.vault_url_file) or lake.vault_file


def _url(setting: str, url: str | None, file: str | None) -> str | None:
    if url and file:
        raise SettingsError(f"{setting} and {setting}_file are both set: expected at most one of them")
    if not file:
        return url
    try:
        text = Path(file).read_text(encoding="utf8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsError(f"{setting}_file {file}: {getattr(exc, 'strerror', None) or 'not UTF-8 text'}") from exc
    if not text:
        # An empty file would mean the default, and so another database than the one that was meant.
        raise SettingsError(f"{setting}_file {file}: expected a URL, got nothing")
    return text


def default_settings_text(name: str) -> str:
    """Text of a new lake's `muniment.yaml`."""
    template = resources.files("muniment").joinpath("default_settings.yaml").read_text(encoding="utf8")
    return template.replace("{name}", name)
