"""What starting a command costs: libraries that it does not use are not loaded."""

import subprocess
import sys

import pytest

from tests.template import init_lake

SCRIPT = """
import atexit, sys
atexit.register(lambda: print("loaded:", *sorted({"pandas", "great_expectations", "streamlit", "dagster", "opentelemetry.sdk.metrics"} & sys.modules.keys())))
from muniment.cli.app import main
main()
"""


@pytest.mark.parametrize("words", [["status"], ["tenant", "add", "globex"], ["sql", "select 1"]])
def test_commands_load_no_library_that_they_do_not_use(tmp_path, words):
    """Pandas is installed, and pyarrow would load it in every process: half a second for nothing."""
    lake = ["--lake", str(init_lake(tmp_path / "lake", "acme"))]
    tenant = ["--tenant", "acme"] if words[0] == "sql" else []
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *words, *tenant, *lake], capture_output=True, text=True, timeout=480, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].strip() == "loaded:"
