"""The program: its commands, and the one place where an error becomes text and an exit code."""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from glifcli import __version__
from glifcli.cli import env, inspect_gates, listing
from glifcli.cli import eval as evaluation
from glifcli.cli import train as training
from glifcli.cli.output import answer_text, debugging, report_error, report_traceback
from glifcli.errors import GlifError, Interrupted

app = typer.Typer(
    name="glif",
    help="Train, evaluate and inspect spiking networks with gated leaky integrate-and-fire neurons.",
    epilog="Begin with [bold]glif train[/]: it needs no data and no download, and takes under a minute.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.command("train", epilog=training.EXAMPLES)(training.train)
app.command("eval", epilog=evaluation.EXAMPLES)(evaluation.evaluate)
app.command("inspect-gates", epilog=inspect_gates.EXAMPLES)(inspect_gates.inspect_gates)
app.command("list", epilog=listing.EXAMPLES)(listing.list_zoo)
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
        message = error.format_message()
        if message:
            report_error(GlifError(message.rstrip("."), f"`{help_command(error)}` shows what it takes"))
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        report_error(Interrupted("interrupted"))
        return Interrupted.exit_code
    except BrokenPipeError:
        # The reader of a pipe has gone, as with `glif … | head`; keep Python from saying so at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debugging():
            report_traceback()
        report_error(
            GlifError(
                f"internal fault, {type(error).__name__}: {error}",
                "run it again with `GLIF_DEBUG=1` for the traceback, and report that with `glif env`",
            )
        )
        return GlifError.exit_code


def help_command(error: typer.TyperException) -> str:
    """The command that shows the help of the command line in error."""
    context = getattr(error, "ctx", None)
    return f"{context.command_path if context is not None else 'glif'} --help"


def main() -> None:
    """The console script."""
    sys.exit(run(sys.argv[1:]))
