"""Freed memory: that it can be kept is told, and nowhere is it an error."""

import sys

import pytest

from glifcli import memory
from glifcli.memory import give_back, keep_freed


def test_what_can_be_set_is_told() -> None:
    glibc = memory._function("mallopt") is not None
    try:
        assert keep_freed() is glibc
    finally:
        assert keep_freed(False) is glibc


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert keep_freed() is False
    give_back()
