"""The root command and its groups."""

import sys
from typing import Annotated

import typer

from hytnas_agent import __version__
from hytnas_agent.output import make_output_last
from hytnas_host.cli import collect, dataset, device, model, predictor, report, run, search, space, transfer
from hytnas_host.cli.boundary import ErrorBoundary, show_traceback
from hytnas_host.cli.console import out

HELP = """Find the best hybrid convolution-attention networks for a small board.

Sample architectures, measure them on the device, fit predictors, search with them, verify the winners.

Examples:

  hytnas-profile run                       the whole job here; run it again to go on

  hytnas-profile collect latency --n 200   measure 200 architectures

  hytnas-profile leaderboard               how well latency can be predicted

  hytnas-profile search --evaluations 400  the best trade-offs
"""

app = typer.Typer(
    cls=ErrorBoundary,
    help=HELP,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=True,
)


def _version(show: bool) -> None:
    if show:
        out.print(f"hytnas-profile {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. Add it when you report a bug.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    del debug, version  # read by the error boundary and by the callback


app.add_typer(space.app, name="space")
app.add_typer(device.app, name="device")
app.add_typer(collect.app, name="collect")
app.add_typer(dataset.app, name="dataset")
for module in (run, predictor, transfer, search, report, model):
    module.register(app)


def main() -> None:
    """Entry point of the console script `hytnas-profile`."""
    make_output_last()
    sys.excepthook = show_traceback
    app(prog_name="hytnas-profile")
