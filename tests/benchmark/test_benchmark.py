"""Benchmarks of small cases: every row is there and its ratios follow from its times."""

import torch

from glifcli.benchmark.limits import Limits, measure_limits
from glifcli.benchmark.network import Contender, Convolutions, measure_network
from glifcli.benchmark.operator import Case, default_cases, measure_operator, runnable
from glifcli.benchmark.peak import peak_mb
from glifcli.benchmark.tables import benchmark_json, limits_line, network_table, operator_table
from glifcli.models.registry import create_model

CPU = torch.device("cpu")


def test_peak_memory_counts_what_a_call_held_at_most() -> None:
    def work() -> None:
        for _ in range(3):
            torch.ones(10_000_000)  # 40 MB, freed before the next

    measured = peak_mb(work, CPU)
    if measured is not None:
        assert 35 < measured < 75


def test_limits_are_positive() -> None:
    limits = measure_limits(CPU, 1)
    assert limits.copy_gb_s > 0
    assert limits.conv_fp32_gflop_s > 0
    assert f"{limits.copy_gb_s:.1f} GB/s" in limits_line(limits)


def test_the_operator_on_every_backend() -> None:
    case = Case((2, 2, 16, 4, 4), torch.float32, "channels_last")
    rows = list(measure_operator((case,), CPU, 2, copy_gb_s=10.0))
    assert [row.backend for row in rows] == runnable(CPU, torch.float32) == ["reference", "numba"]
    assert rows[0].speedup == 1
    for row in rows:
        assert abs(row.speedup * row.forward_backward_ms / rows[0].forward_backward_ms - 1) < 1e-6
        moved_ms = 1e3 * 5 * 2 * 2 * 16 * 4 * 4 * 4 / 10e9
        assert abs(row.copy_ratio * moved_ms / row.forward_backward_ms - 1) < 1e-6
    assert operator_table(rows).row_count == 2


def test_a_network_on_every_backend_against_the_plain_one() -> None:
    rows = list(measure_network("smallnet", 2, 4, CPU, 1))
    assert (rows[0].backend, rows[0].precision, rows[0].layout, rows[0].memory) == (
        "reference",
        "fp32",
        "contiguous",
        "system",
    )
    assert (rows[0].train_speedup, rows[0].infer_speedup) == (1, 1)
    assert {"reference", "numba"} == {row.backend for row in rows[1:]}
    for row in rows:
        assert abs(row.train_speedup * row.train_ms_per_image / rows[0].train_ms_per_image - 1) < 1e-6
        assert abs(row.infer_speedup * row.infer_ms_per_image / rows[0].infer_ms_per_image - 1) < 1e-6
        assert row.convolution_infer_ms_per_image > 0
        assert row.convolution_train_ms_per_image > 0
    assert network_table(rows).row_count == len(rows)
    report = benchmark_json({"device": "cpu"}, Limits(1.0, 2.0, 3.0), (), rows)
    assert report["limits"] == {"copy_gb_s": 1.0, "conv_fp32_gflop_s": 2.0, "conv_bf16_gflop_s": 3.0}
    keys = {"model", "time_steps", "batch_size", "backend", "precision", "train_ms_per_image", "infer_ms_per_image"}
    assert report["network"][0].keys() >= keys | {"peak_mb", "train_speedup", "infer_speedup"}


def test_the_convolutions_alone_are_the_networks() -> None:
    images = torch.randn(2, 3, 32, 32)
    network = create_model("smallnet", time_steps=2, in_channels=3, width=0.25)
    convolutions = Convolutions(network, images, torch.float32)
    assert [tuple(x.shape) for _, x, _ in convolutions.calls] == [(2, 3, 32, 32), (4, 8, 32, 32), (4, 16, 16, 16)]
    assert [x.requires_grad for _, x, _ in convolutions.calls] == [False, True, True]
    contender = Contender("reference", "fp32", "contiguous", "system", network, images, torch.tensor([1, 2]))
    contender.train()()
    assert all(parameter.grad is not None for parameter in network.parameters() if parameter.requires_grad)


def test_the_first_case_is_the_one_of_the_papers_layer() -> None:
    assert default_cases(CPU)[0].shape == (4, 16, 128, 32, 32)
    assert default_cases(torch.device("cuda"))[0] == Case((4, 256, 128, 32, 32), torch.bfloat16, "channels_last")
