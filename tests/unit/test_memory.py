"""The memory of a long-running process."""

import ctypes
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROUNDS = """
import ctypes, resource, sys
import pyarrow as pa
from muniment.memory import keep_freed_memory

ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)  # PR_SET_THP_DISABLE: a kernel that gives huge pages by itself would count few faults
if sys.argv[1] == "keep":
    assert keep_freed_memory() and keep_freed_memory()
    assert pa.default_memory_pool().backend_name == "system"
faults = []
for _ in range(4):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [bytearray(4 << 20) for _ in range(16)]
    del held
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(faults[-1])
"""


def faults_of_a_repeated_round(mode):
    done = subprocess.run([sys.executable, "-c", ROUNDS, mode], capture_output=True, text=True, check=True, cwd=ROOT)
    return int(done.stdout)


@pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallopt"), reason="mallopt: this C library has none; run with glibc"
)
def test_freed_memory_is_used_again_without_asking_the_kernel():
    """64 MiB that was freed is taken again without new pages; without the setting the kernel gives each page anew."""
    pages = (64 << 20) // 4096
    assert faults_of_a_repeated_round("keep") < pages / 20
    assert faults_of_a_repeated_round("plain") > pages / 2
