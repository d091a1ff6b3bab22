"""The command line `hytnas-profile`: Typer commands over the host's functions; nothing is computed here."""

from hytnas_host.cli.app import main

__all__ = ["main"]
