"""`hytnas-profile device provision` and `unprovision`: the agent on a board, put there and taken away."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from hytnas_host.cli.console import err, out, print_json
from hytnas_host.cli.options import JsonOption

if TYPE_CHECKING:
    from hytnas_host.provision import Provisioned

BoardArgument = Annotated[str, typer.Argument(metavar="DEVICE", help="Name of an enrolled board.")]
PythonOption = Annotated[
    str,
    typer.Option(
        "--python",
        help="The board's Python. Change it where the system's own is older than 3.11.",
        metavar="FILE",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("provision")(provision_command)
    app.command("unprovision")(unprovision_command)


class ConsoleSteps:
    """Steps on standard error: what goes on, and how long it took."""

    @contextmanager
    def step(self, what: str, size_bytes: int | None = None) -> Iterator[None]:
        """Show a step while it goes on, and how long it took once it is left."""
        size = "" if size_bytes is None else f" ({size_bytes / 1e6:.1f} MB)"
        began = time.monotonic()
        with err.status(escape(f"{what}{size} ...")):
            yield
        err.print(f"{what}{size}: {time.monotonic() - began:.1f} s", markup=False, soft_wrap=True)

    def say(self, line: str) -> None:
        """Show a line."""
        err.print(line, markup=False, soft_wrap=True)


def provision_command(
    name: BoardArgument,
    runtime: Annotated[
        list[str] | None,
        typer.Option(
            "--runtime",
            help=(
                "Runtime to install: onnxruntime, ai-edge-litert, tflite-runtime, or auto, "
                "which is the first two. Repeatable. By default those that the board has; on a new board "
                "auto."
            ),
        ),
    ] = None,
    service: Annotated[
        bool | None,
        typer.Option(
            "--systemd/--no-systemd",
            help=(
                "--systemd: start the agent when the board boots, as a systemd unit of the user. "
                "--no-systemd: start it when a host first asks. By default this stays as it is; on a "
                "new board it is --no-systemd."
            ),
            show_default=False,
        ),
    ] = None,
    wheel: Annotated[
        Path | None,
        typer.Option(
            "--wheel", help="The toolkit's wheel; by default it is built from what runs here.", dir_okay=False
        ),
    ] = None,
    wheel_folder: Annotated[
        Path | None,
        typer.Option(
            "--wheel-folder",
            help=(
                "Take all other wheels from this folder instead of an index, for a workstation "
                "without internet."
            ),
            exists=True,
            file_okay=False,
        ),
    ] = None,
    state: Annotated[
        str | None,
        typer.Option(
            "--state",
            metavar="DIR",
            help=(
                "Folder on the board for models and results. By default it stays as it is; on a new board it "
                "is ~/.local/state/hytnas-agent. Change it to use another disk. If the folder exists and no "
                "agent has made it, the agent makes a folder hytnas-agent inside it."
            ),
            show_default=False,
        ),
    ] = None,
    python: PythonOption = "/usr/bin/python3",
    as_json: JsonOption = False,
) -> None:
    """Put the agent on a board, or bring it up to date. The board needs no internet; this host does.

    Interrupted, the same command goes on. Everything goes below ~/.local/share/hytnas on the board.

    Examples:

      hytnas-profile device provision shelf-3

      hytnas-profile device provision shelf-3 --runtime onnxruntime --runtime tflite-runtime --systemd
    """
    from hytnas_host.devices.inventory import Inventory
    from hytnas_host.provision import ProvisionOptions, provision_enrolled

    inventory = Inventory.load()
    options = ProvisionOptions(
        runtimes=tuple(runtime or ()),
        service=service,
        python=python,
        state=state,
        wheel=wheel,
        wheel_folder=wheel_folder,
    )
    done = provision_enrolled(inventory.get(name), inventory, options, ConsoleSteps())
    if as_json:
        checks = [check for check in done.checks if check.status != "ok"]
        told = {"agent": done.agent, "state": done.state, "version": done.version, "changed": done.changed}
        print_json({"name": name, **told, "checks": checks})
    else:
        _tell(name, done)


def _tell(name: str, done: "Provisioned") -> None:
    if not done.changed:
        out.print(f"{name} has agent {done.version} already: nothing to do", markup=False, soft_wrap=True)
        return
    for check in done.checks:
        if check.status != "ok":
            line = f"{check.status}: {check.name}: {check.found}"
            out.print(f"{line}. {check.advice}" if check.advice else line, markup=False, soft_wrap=True)
    runtimes = done.description.runtimes if done.description else ()
    usable = ", ".join(f"{info.name} {info.version}" for info in runtimes if info.usable)
    out.print(
        f"{name} has agent {done.version} now, with {usable}\nnext: hytnas-profile device doctor {name}",
        markup=False,
        soft_wrap=True,
    )


def unprovision_command(
    name: BoardArgument,
    discard_results: Annotated[
        bool,
        typer.Option(
            "--discard-results",
            help="Remove the agent although the board holds results that no host has fetched. They are lost.",
        ),
    ] = False,
    python: PythonOption = "/usr/bin/python3",
) -> None:
    """Remove all that `provision` put on a board, and the agent's models and results.

    The board stays enrolled.

    Example: hytnas-profile device unprovision shelf-3
    """
    from hytnas_host.devices.inventory import Inventory
    from hytnas_host.provision import unprovision_enrolled

    inventory = Inventory.load()
    removed = unprovision_enrolled(
        inventory.get(name), inventory, ConsoleSteps(), python=python, discard_results=discard_results
    )
    told = "nothing of the toolkit is left there" if removed else "there was nothing to remove"
    out.print(f"{name}: {told}", markup=False, soft_wrap=True)
