"""`glif env`."""

from glifcli.cli.options import Json
from glifcli.cli.output import answer, answer_json

EXAMPLES = "[bold]glif env[/]\n\n[bold]glif env --json > env.json[/]"


def show_environment(json: Json = False) -> None:
    """Show versions, devices and the backend chosen: what a bug report needs."""
    from rich.table import Table
    from rich.text import Text

    from glifcli.environment import environment

    values = environment()
    if json:
        answer_json(values)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    for key, value in values.items():
        if isinstance(value, dict):
            lines = (f"{name} {said or '-'}" for name, said in value.items())
            shown = ("\n" if key == "backends" else ", ").join(lines)
        elif isinstance(value, list):
            shown = ", ".join(map(str, value)) or "-"
        else:
            shown = "-" if value is None else str(value)
        table.add_row(Text(key.replace("_", " "), "bold"), Text(shown))
    answer(table)
