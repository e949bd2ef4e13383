"""What typer refuses of a command line, in our words: the value in backticks, the fix as a hint."""

import difflib
from collections.abc import Sequence
from typing import Any

from glifcli.errors import GlifError


def usage_error(error: Any, arguments: Sequence[str]) -> GlifError:
    """The error to report for one of typer's; told apart by what they carry, as typer does not export their kinds."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else command_of(arguments)
    parameter = getattr(error, "param", None)
    if hasattr(error, "possibilities"):
        return unknown_option(error.option_name, context, command)
    if parameter is not None and hasattr(error, "param_type"):
        return missing(parameter, context, command)
    if parameter is not None:
        return bad_value(error, parameter, context, command)
    if "extra argument" in error.message:
        return GlifError(f"one argument too many: `{error.message.rpartition('(')[2].rstrip(')')}`", help_hint(command))
    return GlifError(in_backticks(error.format_message().rstrip(".")), help_hint(command))


def missing(parameter: Any, context: Any, command: str) -> GlifError:
    """The error of an option or argument that has to be given; arguments go by the names of the command's help."""
    flag = parameter.opts[0]
    if flag.startswith("-"):
        return GlifError(f"`{flag}` is missing", f"give it: `{command} {flag} {parameter.metavar or 'VALUE'}`")
    names = [
        p.metavar or p.name.upper() for p in context.command.params if not p.opts[0].startswith("-") and p.required
    ]
    return GlifError(f"`{parameter.metavar or flag}` is missing", f"give `{command} {' '.join(names)}`")


def command_of(arguments: Sequence[str]) -> str:
    """The command that those arguments call, as one would type it."""
    name = next((argument for argument in arguments if not argument.startswith("-")), None)
    return f"glif {name}" if name else "glif"


def help_hint(command: str) -> str:
    """Where that command's options are explained."""
    return f"`{command} --help` shows what it takes"


def unknown_option(name: str, context: Any, command: str) -> GlifError:
    """The error of an option that the command does not have."""
    known = [flag for parameter in context.command.params for flag in parameter.opts] if context is not None else []
    near = difflib.get_close_matches(name, known, n=1)
    return GlifError(f"no option `{name}`", f"did you mean `{near[0]}`?" if near else help_hint(command))


def bad_value(error: Any, parameter: Any, context: Any, command: str) -> GlifError:
    """The error of a value of the wrong type or out of bounds; `GLIF_<NAME>` is blamed where it gave the value."""
    source = context.get_parameter_source(parameter.name) if context is not None else None
    flag = str(parameter.envvar) if source is not None and source.name == "ENVIRONMENT" else parameter.opts[0]
    details: list[Any] = getattr(error.__cause__, "errors", list)()
    if not details:
        return GlifError(f"`{flag}`: {in_backticks(error.message.rstrip('.'))}", help_hint(command))
    wanted = details[0]["msg"].partition(",")[0].replace("Input should", "it should")
    return GlifError(f"`{flag}` is `{details[0]['input']}`: {wanted}", help_hint(command))


def in_backticks(text: str) -> str:
    """Typer's sentence with its quotes as backticks, begun in lower case."""
    return (text[:1].lower() + text[1:]).replace("'", "`")
