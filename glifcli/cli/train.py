"""`glif train`."""

import re
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glifcli.cli import options
from glifcli.cli.output import answer, answer_json, answer_text, note
from glifcli.errors import GlifError, Interrupted, SaveError

if TYPE_CHECKING:
    from glifcli.recipe import Recipe
    from glifcli.reports.subject import Batches
    from glifcli.training.fit import Trainer
    from glifcli.training.run import Run

DEFAULT = "digits/smallnet"
# What a run computes and a GLIF_ variable can give, with the parameter of `train` that carries it.
FROM_ENVIRONMENT = {
    "train.epochs": "epochs",
    "data.batch_size": "batch_size",
    "model.time_steps": "time_steps",
    "data.dataset": "dataset",
    "train.precision": "precision",
    "train.seed": "seed",
}
EXAMPLES = (
    "[bold]glif train[/]\n\n"
    "[bold]glif train cifar10/resnet19 --download --output runs/first[/]\n\n"
    "[bold]glif train cifar10/resnet19 --dataset imagefolder --data-dir photos --set data.image_size=32[/]"
)


def train(
    context: typer.Context,
    recipe: Annotated[
        str | None,
        typer.Argument(
            help="A recipe of `glif list`, or a TOML file. Default: the digits, which need no download.",
            autocompletion=options.complete_recipe,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        options.setting("--output", "Run folder. Default: runs/RECIPE-TIME.", metavar="DIR"),
    ] = None,
    resume: Annotated[
        str | None,
        options.setting("--resume", "Go on with a run folder; `auto`: with the run that is there.", metavar="auto|DIR"),
    ] = None,
    epochs: options.Epochs = None,
    batch_size: options.BatchSize = None,
    time_steps: options.TimeSteps = None,
    dataset: options.DatasetName = None,
    data_dir: options.DataDir = None,
    download: options.Download = False,
    device: options.Device = None,
    precision: options.Precision = None,
    backend: options.Backend = None,
    compile_: Annotated[
        bool, typer.Option("--compile", help="Use torch.compile: a minute or more before the first step.")
    ] = False,
    seed: options.Seed = None,
    deterministic: Annotated[
        bool, typer.Option("--deterministic", help="The same losses each time on this machine.")
    ] = False,
    assignments: options.Assignments = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show the recipe resolved, parameters and run folder; then stop."),
    ] = False,
    force: options.Force = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Train a network by a recipe and report on it.

    Ctrl-C finishes the step and saves; `--resume` goes on from there exactly.
    """
    from glifcli import recipe as recipes
    from glifcli.training.run import Run

    overrides = options.given(
        train__epochs=epochs,
        data__batch_size=batch_size,
        model__time_steps=time_steps,
        data__dataset=dataset,
        data__data_dir=data_dir,
        data__download=download,
        train__device=device,
        train__precision=precision,
        train__backend=backend,
        train__compile=compile_,
        train__seed=seed,
        train__deterministic=deterministic,
    )
    if resume is not None and resume != "auto":
        # A variable set for new runs says nothing of this one, but for where it runs.
        for key, name in FROM_ENVIRONMENT.items():
            if options.from_environment(context, name):
                overrides.pop(key, None)
    overrides |= dict(recipes.parse_set(assignment) for assignment in assignments or [])
    if resume is not None and resume != "auto":
        run = Run(Path(resume))
        if recipe is not None or (output is not None and not options.from_environment(context, "output")) or force:
            raise GlifError(
                "`--resume` goes on with a run in its own folder by its own recipe",
                f"leave the recipe, `--output` and `--force` out: `{run.resume_command}`",
            )
        go_on(
            run,
            resumed_recipe(run, overrides),
            begin=False,
            dry_run=dry_run,
            force=False,
            json=json,
            quiet=quiet,
        )
        return
    name, resolved = resolve(DEFAULT if recipe is None else recipe, overrides)
    options.check_data_dir(context, resolved.data.dataset)
    if resume == "auto":
        found = unfinished(name, output)
        if found is not None:
            same_recipe(found, resolved)
            go_on(found, resolved, begin=False, dry_run=dry_run, force=False, json=json, quiet=quiet)
            return
    run = Run(output or new_folder(name))
    go_on(run, resolved, begin=True, dry_run=dry_run, force=force, json=json, quiet=quiet)


def resolve(reference: str, overrides: dict[str, Any]) -> tuple[str, "Recipe"]:
    """The name and the recipe that a reference stands for, with the overrides."""
    from glifcli import recipe as recipes
    from glifcli import zoo

    name, path = zoo.find_recipe(reference)
    return name, settled(recipes.check(recipes.read(path), f"`{path}`", overrides))


def settled(recipe: "Recipe") -> "Recipe":
    """The recipe with what depends on this machine and folder settled, so that a resumed run means the same.

    The precision "auto" becomes what it stands for on the device, the folder of the images an absolute path.
    """
    import dataclasses

    from glifcli import recipe as recipes
    from glifcli.device import choose_device, choose_precision

    precision = choose_precision(recipe.train.precision, choose_device(recipe.train.device))
    folder = recipe.data.data_dir and str(Path(recipe.data.data_dir).expanduser().absolute())
    places = {"train.precision": precision, "data.data_dir": folder}
    return recipes.check(dataclasses.asdict(recipe), "the recipe", places)


def resumed_recipe(run: "Run", overrides: dict[str, Any]) -> "Recipe":
    """The recipe of a run, its places overridden. Raises GlifError for an override of what it computes."""
    import dataclasses

    from glifcli import recipe as recipes

    begun = run.recipe()
    wanted = recipes.check(dataclasses.asdict(begun), f"`{run.path}`", overrides)
    before, now = recipes.flat(begun), recipes.flat(wanted)
    for key in before:
        if key not in recipes.PLACE_KEYS and before[key] != now[key]:
            raise GlifError(
                f"a resumed run keeps its recipe: its `{key}` is `{before[key]}`, not `{now[key]}`",
                f"`{run.resume_command}`, or begin a new run with another `--output`",
            )
    return settled(wanted)


def unfinished(name: str, output: Path | None) -> "Run | None":
    """The run that `--resume auto` means: the one in `output`, else the newest of that recipe without a report.

    One that another process trains is not waiting for anybody.
    """
    from glifcli.training.run import RECIPE, REPORT, Run

    if output is not None:
        return Run(output) if (output / RECIPE).is_file() else None
    pattern = re.compile(re.escape(slug(name)) + r"-\d{8}-\d{6}(-\d+)?")
    folders = [path for path in Path("runs").glob("*") if pattern.fullmatch(path.name)]
    waiting = [path for path in folders if (path / RECIPE).is_file() and not (path / REPORT).is_file()]
    runs = [Run(path) for path in sorted(waiting, key=lambda path: (path / RECIPE).stat().st_mtime)]
    return next((run for run in reversed(runs) if not run.is_locked()), None)


def same_recipe(run: "Run", wanted: "Recipe") -> None:
    """Raises GlifError where the run's recipe computes something else than the one asked for."""
    from glifcli.recipe import differences

    different = differences(run.recipe(), wanted)
    if different:
        raise GlifError(
            f"the run in `{run.path}` has another recipe than the one asked for: " + "; ".join(different),
            f"`{run.resume_command}` goes on with it as it is; another `--output` begins a new run",
        )


def slug(name: str) -> str:
    """A recipe's name as a part of a folder's."""
    return name.replace("/", "-")


def new_folder(name: str) -> Path:
    """A run folder that is not there yet."""
    base = Path("runs") / f"{slug(name)}-{time.strftime('%Y%m%d-%H%M%S')}"
    candidates = [base, *(base.with_name(f"{base.name}-{number}") for number in range(2, 100))]
    return next(path for path in candidates if not path.exists())


def go_on(run: "Run", recipe: "Recipe", *, begin: bool, dry_run: bool, force: bool, json: bool, quiet: bool) -> None:
    """Checks all that can be checked before the run begins, then trains and answers."""
    from glifcli.data import load_dataset
    from glifcli.device import DTYPES, choose_device, choose_precision
    from glifcli.environment import environment
    from glifcli.memory import keep_freed
    from glifcli.ops import choose_backend
    from glifcli.recipe import to_toml
    from glifcli.training.fit import Trainer
    from glifcli.training.run import RECIPE

    device = choose_device(recipe.train.device)
    choose_backend(recipe.train.backend, device, DTYPES[choose_precision(recipe.train.precision, device)])
    if begin:
        run.check_free(force=force)
    if dry_run:
        answer_plan(run, recipe, json=json)
        return
    keep_freed()
    dataset = load_dataset(recipe.data)
    trainer = Trainer(run, recipe, dataset)
    for name, split in dataset.splits.items():
        # Images that are cut at random are decoded anew each time.
        if name != "train" or not recipe.augment.random_resized_crop:
            split.images.prepare()
    with run.locked():
        if begin:
            run.check_free(force=force)
            run.create(recipe, environment())
        else:
            run.write(RECIPE, to_toml(recipe).encode())
        try:
            report = train_and_report(trainer, quiet=quiet)
        except SaveError as error:
            raise SaveError(
                error.message, f"{error.hint}: `{run.resume_command}` goes on with what was saved last"
            ) from error
        except KeyboardInterrupt:
            raise Interrupted(
                f"interrupted; what was saved last is in `{run.path}`", f"`{run.resume_command}` goes on with it"
            ) from None
    answer_report(run, report, json=json, quiet=quiet)


def train_and_report(trainer: "Trainer", *, quiet: bool) -> dict[str, Any]:
    """The report of the run, trained to its end. Raises Interrupted where it was asked to stop."""
    from glifcli.cli.progress import draw, watched
    from glifcli.cli.stopping import stop_requests
    from glifcli.training.events import Stopped
    from glifcli.training.fit import fit
    from glifcli.training.report import write_report

    run = trainer.run
    with stop_requests(quiet) as stop:
        last = draw(fit(trainer, stop=stop), quiet)
        if isinstance(last, Stopped):
            raise Interrupted(
                f"stopped after step {last.step} of epoch {last.epoch + 1}, all saved in `{run.path}`",
                f"`{run.resume_command}` goes on",
            )

        def until_stopped(batches: "Batches") -> "Batches":
            for batch in batches:
                if stop():
                    raise KeyboardInterrupt
                yield batch

        with watched("evaluating", quiet) as watch:
            return write_report(
                run,
                trainer.recipe,
                trainer.dataset,
                watch=lambda batches, total: until_stopped(watch(batches, total)),
            )


def answer_report(run: "Run", report: dict[str, Any], *, json: bool, quiet: bool) -> None:
    """What a finished run shows."""
    from glifcli.reports.tables import energy_table, gates_table, layers_table, summary_table

    if json:
        keys = ("run_dir", "checkpoint", "epochs", "accuracy", "train_seconds")
        answer_json({**{key: report[key] for key in keys}, "images_per_second": report["train_images_per_second"]})
        return
    gates = gates_table(report["gates"]["layers"])
    answer(summary_table(report), layers_table(report), energy_table(report), gates)
    answer_text(f"report: {run.path / 'report.md'}")
    note(f"next: glif inspect-gates {shlex.quote(str(run.path))}", quiet=quiet)


def answer_plan(run: "Run", recipe: "Recipe", *, json: bool) -> None:
    """What `--dry-run` shows. Only a folder of images is looked into, for its classes."""
    import dataclasses

    from glifcli.data import load_dataset
    from glifcli.data.names import FIXED
    from glifcli.recipe import to_toml
    from glifcli.training.fit import build

    if recipe.data.dataset in FIXED:
        classes, channels, side = FIXED[recipe.data.dataset]
        image_size = (recipe.data.image_size or side,) * 2
    else:
        dataset = load_dataset(recipe.data)
        dataset.check_time_steps(recipe.model.time_steps)
        classes, channels, image_size = len(dataset.classes), dataset.channels, dataset.image_size
    model = build(recipe, classes, channels, image_size)
    path, parameters = run.path, sum(parameter.numel() for parameter in model.parameters())
    if json:
        answer_json({"recipe": dataclasses.asdict(recipe), "parameters": parameters, "run_dir": str(path)})
        return
    answer_text(to_toml(recipe))
    answer_text(f"# parameters: {parameters:,}\n# run folder: {path}")
