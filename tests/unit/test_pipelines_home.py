"""The folder that Dagster calls home, and what is never in its settings: a way out of the machine."""

import socket
import stat
from pathlib import Path

import msgspec
import pytest
import yaml

from muniment.settings import DagsterConfig, MunimentConfig
from muniment.supervisor import services_of
from pipelines.home import home_folder, instance_settings, ready_home
from pipelines.service import main
from warehouse.lake import make_lake

ROOT = Path(__file__).parents[2]


def test_the_home_is_private_and_beside_the_tables(lake):
    """Mode 0700, below the lake, whatever it was before; making it ready again changes nothing."""
    home_folder(lake).mkdir(mode=0o755)
    for _ in range(2):
        with ready_home(lake) as home:
            assert home.folder == lake.path / "dagster"
            assert stat.S_IMODE(home.folder.stat().st_mode) == 0o700
            assert home.socket.parent == home.folder
    assert sorted(file.name for file in home.folder.iterdir()) == ["dagster.yaml", "workspace.yaml"]


def test_a_long_path_takes_a_socket_elsewhere(tmp_path):
    """A Unix socket's address holds 107 bytes: the socket of a deep lake is in a private folder that goes with the service."""
    deep = make_lake(tmp_path / ("d" * 90) / "lake")
    with ready_home(deep) as home:
        assert len(bytes(home.socket)) <= 107
        assert stat.S_IMODE(home.socket.parent.stat().st_mode) == 0o700
        written = yaml.safe_load((home.folder / "workspace.yaml").read_text())
        assert written["load_from"][0]["grpc_server"]["socket"] == str(home.socket)
    assert not home.socket.parent.exists()


def test_the_instance_keeps_to_itself(lake):
    """SQLite below the home, no telemetry, no news, no output of runs; the file at the top is the one that is used."""
    settings = yaml.safe_load(instance_settings())
    assert instance_settings() == (ROOT / "dagster.yaml").read_text(encoding="utf8")
    assert not {"storage", "run_storage", "event_log_storage", "schedule_storage", "local_artifact_storage"} & set(
        settings
    )
    assert settings["telemetry"] == {"enabled": False}
    assert settings["nux"] == {"enabled": False}
    assert settings["compute_logs"]["class"] == "NoOpComputeLogManager"
    with ready_home(lake) as home:
        assert (home.folder / "dagster.yaml").read_text() == instance_settings()
        assert home.variables["DAGSTER_HOME"] == str(home.folder)


def test_maintenance_has_one_who_runs_it(lake):
    """With Dagster the supervisor runs no maintenance of its own; without, it does, and nothing of Dagster."""
    settings = MunimentConfig(dagster=DagsterConfig(port=3999))
    with ready_home(lake) as home:
        names = [service.name for service in services_of(lake, settings, shard="main", home=home)]
        (web,) = (each for each in services_of(lake, settings, shard="main", home=home) if each.name == "dagster web")
    assert names == ["collector", "alerts", "dagster code", "dagster daemon", "dagster web", "pages"]
    assert web.command[-2:] == ("3999", "--read-only")
    alone = [service.name for service in services_of(lake, settings, shard="main")]
    assert alone == ["collector", "alerts", "maintenance", "pages"]


def test_a_page_that_may_start_runs_is_asked_for(lake):
    """`dagster.read_only: false` is the only way to it."""
    with ready_home(lake) as home:
        assert "--read-only" not in home.commands(3999, read_only=False)["web"]


def test_a_port_that_is_taken_is_refused(lake, capsys):
    """The web server says which port and which setting, with the exit code of settings that cannot be used."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["web", str(lake.path / "none.sock"), str(port)]) == 2
    assert f"port {port} of 127.0.0.1 is taken" in capsys.readouterr().err


@pytest.mark.parametrize("port", [0, 65536])
def test_ports_are_checked(port):
    """A port outside of the range is an error of the settings."""
    with pytest.raises(msgspec.ValidationError, match="port"):
        msgspec.convert({"port": port}, DagsterConfig)
