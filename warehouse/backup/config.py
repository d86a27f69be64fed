"""Settings of backups: the section `backup` of `muniment.yaml`."""

from pathlib import Path

import msgspec


class BackupConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where backups go: folders, each of this lake alone and absolute, since jobs start in folders of their own."""

    targets: list[str] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        for target in self.targets:
            if not Path(target).is_absolute():
                raise ValueError(f"targets: expected absolute paths, got {target!r}")
        if len(set(self.targets)) != len(self.targets):
            raise ValueError("targets: expected each folder once")

    @property
    def folders(self) -> tuple[Path, ...]:
        """The targets as paths."""
        return tuple(Path(target) for target in self.targets)
