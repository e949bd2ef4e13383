"""Freed memory: kept or given back, and nowhere an error."""

import sys

import pytest
import torch

from glifcli import memory
from glifcli.memory import give_back, keep_freed


def test_kept_and_given_back() -> None:
    glibc = memory._function("mallopt") is not None
    try:
        assert keep_freed() == glibc
        addresses = set()
        for _ in range(5):
            addresses.add(torch.empty(20_000_000).data_ptr())
        if glibc:
            assert len(addresses) <= 2
    finally:
        assert keep_freed(False) == glibc
    give_back()


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert keep_freed() is False
    give_back()
