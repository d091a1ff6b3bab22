"""Which runtime, in which version, for which board: one table, with the reason for each row."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from packaging.specifiers import SpecifierSet

from hytnas_agent.runtimes.registry import RUNTIMES
from hytnas_host.provision.errors import ProvisionError
from hytnas_host.provision.targets import WheelTarget

AUTO = "auto"
AUTOMATIC = ("onnxruntime", "ai-edge-litert")
"""Both formats, on every Python; of the two TFLite runtimes the one that computes int8 models rightly."""


@dataclass(frozen=True)
class Rule:
    """One thing that is known of a runtime's versions.

    Parameters
    ----------
    runtime : str
        The distribution, as pip names it.
    kind : str
        ``prefer`` these versions where they can be had, ``never`` these, or only these ``pythons``.
    versions : str
        A version specifier, of the runtime or of Python.
    reason : str
        Why, for a person who meets the rule.
    machines : tuple of str
        The architectures it holds for; all if empty.
    """

    runtime: str
    kind: Literal["prefer", "never", "pythons"]
    versions: str
    reason: str
    machines: tuple[str, ...] = ()


RULES = (
    Rule("onnxruntime", "never", "==1.21.0", "it dies of SIGILL on a Cortex-A53", ("aarch64",)),
    Rule("onnxruntime", "prefer", "==1.26.0", "it was tried on a Cortex-A53, and needs no sympy"),
    Rule("ai-edge-litert", "prefer", "==2.1.6", "it was tried on a Cortex-A53"),
    Rule("tflite-runtime", "prefer", "==2.14.0", "it is the last one, and was tried on a Cortex-A53"),
    Rule("tflite-runtime", "pythons", "<3.12", "it has no wheels for later ones; ai-edge-litert succeeds it"),
)


def choose(names: Iterable[str], target: WheelTarget) -> tuple[str, ...]:
    """The runtimes to install, each once, in a fixed order.

    Parameters
    ----------
    names : iterable of str
        Runtimes as the agent names them; ``auto``, or none at all, stands for `AUTOMATIC`.
    target : WheelTarget
        The board.

    Raises
    ------
    ProvisionError
        If one is unknown, or has no wheels for the board's Python.
    """
    wanted = set(names) or {AUTO}
    if AUTO in wanted:
        wanted = (wanted - {AUTO}) | set(AUTOMATIC)
    if unknown := sorted(wanted - set(RUNTIMES.bundled)):
        raise ProvisionError(
            f"unknown runtime {unknown[0]!r}", f"Known are: {', '.join([AUTO, *RUNTIMES.bundled])}"
        )
    python = ".".join(map(str, target.python))
    for rule in _rules(sorted(wanted), target, "pythons"):
        if python not in SpecifierSet(rule.versions):
            raise ProvisionError(
                f"{rule.runtime} needs a Python {rule.versions}, the board has {python}: {rule.reason}",
                "Choose another with --runtime",
            )
    return tuple(name for name in RUNTIMES.bundled if name in wanted)


def extras(runtimes: Iterable[str]) -> tuple[str, ...]:
    """The extras of the project's wheel that install these runtimes."""
    return tuple(RUNTIMES.get(name).extra for name in runtimes)


def constraints(runtimes: Sequence[str], target: WheelTarget, *, preferred: bool) -> tuple[str, ...]:
    """Lines of a pip constraints file: no blocked version, and only preferred ones if so asked."""
    lines = []
    for rule in _rules(runtimes, target, "never"):
        lines += [f"{rule.runtime}!={part.version}" for part in SpecifierSet(rule.versions)]
    if preferred:
        lines += [f"{rule.runtime}{rule.versions}" for rule in _rules(runtimes, target, "prefer")]
    return tuple(lines)


def _rules(runtimes: Sequence[str], target: WheelTarget, kind: str) -> list[Rule]:
    distributions = {RUNTIMES.get(name).distribution for name in runtimes if name in RUNTIMES.bundled}
    return [
        rule
        for rule in RULES
        if rule.kind == kind
        and rule.runtime in distributions
        and (not rule.machines or target.machine in rule.machines)
    ]
