"""The program: its commands, and the one place where an error becomes text and an exit code."""

import signal
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from glifcli import __version__
from glifcli.cli import bench, convert, env, inspect_gates, listing
from glifcli.cli import eval as evaluation
from glifcli.cli import train as training
from glifcli.cli.output import answer_text, debugging, report_error, report_traceback
from glifcli.cli.usage import usage_error
from glifcli.errors import GlifError, Interrupted, nearest


class Commands(TyperGroup):
    """The commands. Typer itself would end without a word at Ctrl-C, and not say which value it refuses."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        name = args[0]
        if name not in self.commands and not name.startswith("-") and not ctx.resilient_parsing:
            raise GlifError(f"no command `{name}`", nearest(name, self.commands))
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise Interrupted("interrupted") from None


app = typer.Typer(
    name="glif",
    cls=Commands,
    help="Train, evaluate and inspect spiking networks with gated leaky integrate-and-fire neurons.",
    epilog="Begin with [bold]glif train[/]: it needs no data and no download, and takes under a minute.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.command("train", epilog=training.EXAMPLES)(training.train)
app.command("eval", epilog=evaluation.EXAMPLES)(evaluation.evaluate)
app.command("inspect-gates", epilog=inspect_gates.EXAMPLES)(inspect_gates.inspect_gates)
app.command("convert", epilog=convert.EXAMPLES)(convert.convert)
app.command("list", epilog=listing.EXAMPLES)(listing.list_zoo)
app.command("bench", epilog=bench.EXAMPLES)(bench.bench)
app.command("env", epilog=env.EXAMPLES)(env.show_environment)


def show_version(asked: bool) -> None:
    """Prints the version and ends."""
    if asked:
        answer_text(f"glif {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=show_version, is_eager=True)
    ] = False,
) -> None:
    """Train, evaluate and inspect spiking networks with gated leaky integrate-and-fire neurons."""


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; the exit code."""
    try:
        code = typer.main.get_command(app).main(list(arguments), prog_name="glif", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except GlifError as error:
        if debugging():
            report_traceback()
        report_error(error)
        return error.exit_code
    except typer.TyperException as error:
        # Without arguments the help is shown already, and there is nothing more to say.
        if error.format_message():
            report_error(usage_error(error, arguments))
        return GlifError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        report_error(Interrupted("interrupted"))
        return Interrupted.exit_code
    except SystemExit as error:
        # So typer and Rich end when the reader of the help has gone, as with `glif --help | head`.
        if isinstance(error.__context__, BrokenPipeError):
            return 0
        raise
    except Exception as error:
        if debugging():
            report_traceback()
        report_error(unforeseen(error))
        return GlifError.exit_code


def unforeseen(error: Exception) -> GlifError:
    """What to tell of an error that no command foresaw."""
    if isinstance(error, OSError) and error.filename is not None:
        return GlifError(f"`{error.filename}`: {error.strerror}", "check that path and its permissions")
    # torch's own kinds for this go by name, as torch may not be imported; on the CPU it is a plain RuntimeError.
    if isinstance(error, MemoryError) or "OutOfMemory" in type(error).__name__ or "can't allocate memory" in str(error):
        reason = str(error).partition("\n")[0] or type(error).__name__
        return GlifError(f"out of memory: {reason}", "give a smaller `--batch-size`, or a smaller model")
    return GlifError(
        f"internal fault, {type(error).__name__}: {error}",
        "run it again with `GLIF_DEBUG=1` for the traceback, and report that with `glif env`",
    )


def main() -> None:
    """The console script. SIGTERM ends it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(run(sys.argv[1:]))
