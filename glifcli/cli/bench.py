"""`glif bench`."""

from collections.abc import Iterable, Iterator
from typing import Annotated, TypeVar

import typer

from glifcli.cli import options
from glifcli.cli.output import answer, answer_json, check_output, json_text, note, write_output
from glifcli.errors import GlifError, nearest

EXAMPLES = (
    "[bold]glif bench[/]\n\n"
    "[bold]glif bench --only operator --peer spikingjelly[/]\n\n"
    "[bold]glif bench --only network --model resnet19 --time-steps 2 --batch-size 64 --json[/]"
)
PARTS = ("operator", "network")
Row = TypeVar("Row")


def bench(
    only: Annotated[
        str | None,
        typer.Option("--only", help="One part: operator or network.", metavar="PART", show_default=False),
    ] = None,
    model: Annotated[str, typer.Option("--model", help="Network to run.", metavar="NAME")] = "resnet19",
    time_steps: Annotated[int, typer.Option("--time-steps", help="Its time steps.", metavar="N")] = 2,
    batch_size: Annotated[int, typer.Option("--batch-size", help="Images a batch.", metavar="N")] = 16,
    repeats: Annotated[int, typer.Option("--repeats", help="Turns of each contender.", metavar="N")] = 5,
    peer: Annotated[
        str | None,
        typer.Option(
            "--peer", help="Another library's neurons beside, in the operator part: spikingjelly.", metavar="NAME"
        ),
    ] = None,
    device: options.Device = None,
    output: options.OutputFile = None,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure the operator and a network on this machine, against plain PyTorch and the machine's own limits.

    All contenders of a case take turns in one process; medians count. Three minutes on two cores.
    """
    from glifcli.benchmark.limits import measure_limits
    from glifcli.benchmark.network import NetworkTime, measure_network
    from glifcli.benchmark.operator import OperatorTime, default_cases, measure_operator
    from glifcli.benchmark.peers import peer_layers
    from glifcli.benchmark.tables import benchmark_json, limits_line, network_table, operator_table
    from glifcli.device import choose_device
    from glifcli.environment import environment
    from glifcli.memory import keep_freed
    from glifcli.models.names import NAMES

    if only is not None and only not in PARTS:
        raise GlifError(f"`--only` is `{only}`", nearest(only, PARTS))
    if model not in NAMES:
        raise GlifError(f"no model `{model}`", nearest(model, NAMES))
    for flag, value in (("--time-steps", time_steps), ("--batch-size", batch_size), ("--repeats", repeats)):
        if value < 1:
            raise GlifError(f"`{flag}` is `{value}`", f"give 1 or more, such as `{flag} 3`")
    if peer is not None:
        if only == "network":
            raise GlifError(f"`--peer {peer}` takes part in the operator alone", "leave `--only network` out")
        peer_layers(peer)
    if output is not None:
        check_output(output, force=force)
    chosen = choose_device(device or "auto")
    keep_freed()
    note("measuring what the machine can do at most", quiet=quiet)
    limits = measure_limits(chosen, repeats)
    operator: tuple[OperatorTime, ...] = ()
    network: tuple[NetworkTime, ...] = ()
    if only in (None, "operator"):
        cases = default_cases(chosen)
        times = measure_operator(cases, chosen, repeats, limits.copy_gb_s, peer)
        operator = tuple(told(times, "operator: {0.shape} {0.dtype} {0.layout}, {0.backend}", quiet))
    if only in (None, "network"):
        note(f"network: {model}, every contender {repeats + 1} times", quiet=quiet)
        network = tuple(measure_network(model, time_steps, batch_size, chosen, repeats))
    report = benchmark_json(environment() | {"device": str(chosen)}, limits, operator, network)
    if output is not None:
        write_output(output, json_text(report).encode(), force=force)
    if json:
        answer_json(report)
        return
    answer(limits_line(limits))
    if operator:
        answer(operator_table(operator))
    if network:
        answer(network_table(network))


def told(rows: Iterable[Row], text: str, quiet: bool) -> Iterator[Row]:
    """The rows, each announced on stderr when it is there."""
    for row in rows:
        note(text.format(row), quiet=quiet)
        yield row
