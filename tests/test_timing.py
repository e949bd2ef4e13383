import time

import torch

from glifcli.timing import alternating

CPU = torch.device("cpu")


def test_contenders_take_turns_and_the_median_counts() -> None:
    calls: list[str] = []
    before: list[str] = []
    times = alternating(
        {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3, CPU, lambda name: before.append(name)
    )
    assert calls == before == ["a", "b"] * 4
    assert times.keys() == {"a", "b"}
    assert all(0 <= seconds < 1 for seconds in times.values())


def test_no_round_begins_after_the_limit() -> None:
    calls: list[str] = []

    def work() -> None:
        calls.append("a")
        time.sleep(0.01)

    # The unmeasured turn does not count, and one that is measured there is always.
    assert alternating({"a": work}, 5, CPU, limit_s=0)["a"] >= 0.01
    assert len(calls) == 2
    alternating({"a": work, "b": work}, 100, CPU, limit_s=0.03)
    assert len(calls) <= 2 + 2 + 2 * 3
