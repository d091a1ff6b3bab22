"""`hytnas-profile space`: what can be sampled."""

from typing import Annotated

import numpy as np
import typer

from hytnas_host.cli.console import out, print_json, print_table
from hytnas_host.cli.options import ClassesOption, JsonOption, ResolutionOption, SeedOption

app = typer.Typer(help="Search spaces: list, describe, sample.", no_args_is_help=True)

SpaceArgument = Annotated[
    str, typer.Argument(help="A bundled or installed space, or a TOML file.", metavar="SPACE")
]


@app.command("list")
def list_command(as_json: JsonOption = False) -> None:
    """List the bundled and installed spaces with their exact sizes.

    Example: hytnas-profile space list
    """
    from hytnas_datasets.errors import SpaceError
    from hytnas_datasets.spaces import get_space, list_spaces

    spaces = []
    for name in list_spaces():
        try:
            spaces.append(get_space(name))
        except SpaceError as error:  # of an installed package that is broken
            typer.echo(f"left out: {error}", err=True)
    if as_json:
        print_json(
            [
                {
                    "name": s.name,
                    "family": s.family,
                    "size": s.size,
                    "variables": len(s.variables),
                    "hash": s.hash(),
                }
                for s in spaces
            ]
        )
        return
    print_table(
        "Spaces",
        ["name", "family", "architectures", "variables", "hash"],
        [(s.name, s.family, f"{s.size:,}", len(s.variables), s.hash()) for s in spaces],
    )


@app.command()
def describe(name: SpaceArgument = "hyt", as_json: JsonOption = False) -> None:
    """Show the variables of a space and their choices.

    Example: hytnas-profile space describe my-space.toml
    """
    from hytnas_datasets.spaces import get_space

    space = get_space(name)
    if as_json:
        print_json(
            {
                "name": space.name,
                "size": space.size,
                "hash": space.hash(),
                "variables": {v.name: list(v.choices) for v in space.variables},
            }
        )
        return
    rows = [(v.name, ", ".join(str(choice) for choice in v.choices)) for v in space.variables]
    print_table(f"{space.name}: {space.size:,} architectures", ["variable", "choices"], rows)


@app.command()
def sample(
    name: SpaceArgument = "hyt",
    n: Annotated[int, typer.Option("--n", min=1, help="How many architectures.")] = 5,
    resolution: ResolutionOption = None,
    classes: ClassesOption = None,
    seed: SeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Draw architectures uniformly and show what they cost.

    Example: hytnas-profile space sample hyt --n 10 --seed 3 --json
    """
    from hytnas_datasets.families import has_networks, task_for
    from hytnas_datasets.plan import build_plan
    from hytnas_datasets.spaces import get_space

    space = get_space(name)
    architectures = space.sample(n, np.random.default_rng(seed))
    ids = [space.format(architecture) for architecture in architectures]
    choices = [space.values(architecture) for architecture in architectures]
    if not has_networks(space):
        if as_json:
            print_json([{"id": i, "values": values} for i, values in zip(ids, choices, strict=True)])
            return
        print_table(
            f"{n} architectures of {space.name}, which are no networks",
            ["id", "choices"],
            [
                (i, ", ".join(f"{variable}={choice}" for variable, choice in values.items()))
                for i, values in zip(ids, choices, strict=True)
            ],
        )
        return
    task = task_for(space, resolution, classes)
    plans = [build_plan(architecture, task) for architecture in architectures]
    if as_json:
        print_json(
            [
                {"id": i, "values": values, "params": p.params, "macs": p.macs, "plan_hash": p.hash}
                for i, values, p in zip(ids, choices, plans, strict=True)
            ]
        )
        return
    rows = [
        (i, f"{p.params:,}", f"{p.macs / 1e6:,.1f}", f"{p.activations / 1e6:,.2f}")
        for i, p in zip(ids, plans, strict=True)
    ]
    print_table(
        f"{n} architectures of {space.name} at {task.resolution}x{task.resolution}",
        ["id", "parameters", "MACs (millions)", "activations (millions)"],
        rows,
    )
    out.print("[dim]--json shows the choices of each[/]")
