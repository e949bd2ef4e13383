"""Benchmarks as JSON and as tables for the terminal."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from glifcli.benchmark.limits import Limits
from glifcli.benchmark.network import NetworkTime
from glifcli.benchmark.operator import OperatorTime


def benchmark_json(
    environment: dict[str, Any], limits: Limits, operator: Sequence[OperatorTime], network: Sequence[NetworkTime]
) -> dict[str, Any]:
    """The JSON object of `glif bench --json`."""
    return {
        **environment,
        "limits": dataclasses.asdict(limits),
        "operator": [dataclasses.asdict(row) | {"shape": list(row.shape)} for row in operator],
        "network": [dataclasses.asdict(row) for row in network],
    }


def limits_line(limits: Limits) -> str:
    """The machine's limits in a line."""
    return (
        f"this machine: copies {limits.copy_gb_s:.1f} GB/s, convolves {limits.conv_fp32_gflop_s:,.0f} GFLOP/s in fp32 "
        f"and {limits.conv_bf16_gflop_s:,.0f} in bf16"
    )


def operator_table(rows: Sequence[OperatorTime]) -> Table:
    """The operator's times, a section a case."""
    table = Table(title="Operator: ms a layer; forward + backward against the reference and against copying its bytes")
    for column in ("currents", "backend"):
        table.add_column(column)
    for column in ("forward", "both", "peak MB", "speed-up", "copies"):
        table.add_column(column, justify="right", no_wrap=True)
    before = None
    for row in rows:
        case = (row.shape, row.dtype, row.layout)
        if before not in (None, case):
            table.add_section()
        shape = "x".join(map(str, row.shape))
        layout = f" {row.layout}" if len(row.shape) > 3 else ""
        table.add_row(
            f"{shape} {row.dtype}{layout}" if case != before else "",
            row.backend,
            f"{row.forward_ms:.2f}",
            f"{row.forward_backward_ms:.2f}",
            "-" if row.peak_mb is None else f"{row.peak_mb:.0f}",
            f"{row.speedup:.1f}",
            f"{row.copy_ratio:.2f}",
        )
        before = case
    return table


def network_table(rows: Sequence[NetworkTime]) -> Table:
    """The network's times; in brackets the convolutions' share of them."""
    first = rows[0]
    title = f"{first.model}, T = {first.time_steps}, batch of {first.batch_size}: ms an image (convolutions alone)"
    table = Table(title=title)
    for column in ("backend", "precision", "layout", "freed memory"):
        table.add_column(column)
    for column in ("training ms", "inference ms", "peak MB", "training", "inference"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(
            row.backend,
            row.precision,
            row.layout,
            row.memory,
            f"{row.train_ms_per_image:.2f} ({row.convolution_train_ms_per_image:.2f})",
            f"{row.infer_ms_per_image:.2f} ({row.convolution_infer_ms_per_image:.2f})",
            "-" if row.peak_mb is None else f"{row.peak_mb:.0f}",
            f"x {row.train_speedup:.2f}",
            f"x {row.infer_speedup:.2f}",
        )
    return table
