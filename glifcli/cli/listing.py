"""`glif list`."""

from glifcli.cli.options import Json
from glifcli.cli.output import answer, answer_json

EXAMPLES = "[bold]glif list[/]\n\n[bold]glif list --json[/]"


def list_zoo(json: Json = False) -> None:
    """List the recipes of the zoo and the data sets."""
    from rich.table import Table
    from rich.text import Text

    from glifcli import recipe as recipes
    from glifcli import zoo
    from glifcli.data.names import DATASETS

    rows = []
    for name, path in zoo.recipes().items():
        recipe = recipes.check(recipes.read(path), f"`{path}`")
        rows.append(
            {
                "name": name,
                "description": recipe.description,
                "model": recipe.model.name,
                "neuron": recipe.neuron.name,
                "time_steps": recipe.model.time_steps,
                "dataset": recipe.data.dataset,
                "epochs": recipe.train.epochs,
                "path": str(path),
            }
        )
    if json:
        answer_json({"recipes": rows, "datasets": list(DATASETS)})
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("recipe", "model", "neuron", "T", "epochs", "what it is"):
        table.add_column(heading, justify="right" if heading in ("T", "epochs") else "left")
    for row in rows:
        keys = ("name", "model", "neuron", "time_steps", "epochs", "description")
        table.add_row(*(Text(str(row[key])) for key in keys))
    answer(table, Text(f"\ndata sets: {', '.join(DATASETS)}"))
