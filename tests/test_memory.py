"""Freed memory: kept or given back, and nowhere an error."""

import subprocess
import sys

import pytest

from glifcli import memory
from glifcli.memory import give_back, keep_freed

# In a process of its own, as what malloc keeps is the process's.
PAGES = """
import resource, sys, torch
from glifcli.memory import keep_freed
torch.set_num_threads(1)
counts = []
for keep in (True, False):
    assert keep_freed(keep)
    for turn in range(6):
        if turn == 3:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        torch.ones(20_000_000)
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(*counts)
"""


@pytest.mark.skipif(memory._function("mallopt") is None, reason="no glibc")
def test_kept_memory_is_not_fresh_each_time() -> None:
    done = subprocess.run([sys.executable, "-c", PAGES], capture_output=True, text=True, timeout=120, check=True)
    kept, usual = map(int, done.stdout.split())
    assert kept <= max(usual // 2, 100)


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert keep_freed() is False
    give_back()
