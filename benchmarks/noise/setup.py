"""What a noise study begins with: its models, exported once, and its header."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from hytnas_datasets.plan import LayerPlan, Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_host.devices.client import AgentDevice
from hytnas_host.devices.quiet import host_work
from hytnas_host.export import export_onnx
from noise.journal import Header, Journal

DRAWS_A_NETWORK = 20
CODE = {
    "agent_version": "the agent is of another version",
    "agent_code": "the agent's code has changed",
    "study_code": "the study's code has changed",
}


def export_models(
    count: int, resolution: int, seed: int, folder: Path, tell: Callable[[str], None]
) -> list[Path]:
    """Distinct networks of the space ``hyt``, drawn uniformly, as ONNX files in ``folder``.

    Raises SystemExit where the space has not so many at this resolution.
    """
    task, space = Task(resolution=resolution), get_space("hyt")
    plans: dict[str, LayerPlan] = {}
    for architecture in space.sample(DRAWS_A_NETWORK * count, np.random.default_rng(seed)):
        if len(plans) < count:
            plan = build_plan(architecture, task)
            plans[plan.hash] = plan
    if len(plans) < count:
        raise SystemExit(
            f"no {count} distinct networks were found at {resolution}x{resolution}: ask for fewer"
        )
    paths = []
    for number, plan in enumerate(plans.values(), start=1):
        with host_work():
            paths.append(export_onnx(plan, folder, seed=seed).path)
        tell(f"exported {number} of {count} models")
    return paths


def kept_models(journal: Journal, folder: Path) -> list[Path]:
    """The files of a study that was begun before; none where one is missing."""
    models = () if journal.header is None else journal.header.models
    paths = [folder / f"{sha256}.onnx" for sha256 in models]
    return paths if all(path.is_file() for path in paths) else []


def begin(journal: Journal, wanted: Header) -> Header:
    """The header of this study: the journal's, if it was begun with the same options, or else the wanted one.

    Raises SystemExit, naming what differs.
    """
    found = journal.header
    if found is None:
        journal.add(wanted)
        return wanted
    differing = [
        f"{name}: {getattr(found, name)} -> {getattr(wanted, name)}"
        for name in Header.__struct_fields__
        if name not in {*CODE, "models"} and getattr(found, name) != getattr(wanted, name)
    ]
    differing += [
        f"{words} ({getattr(found, name)} -> {getattr(wanted, name)})"
        for name, words in CODE.items()
        if getattr(found, name) != getattr(wanted, name)
    ]
    if found.models != wanted.models:
        differing.append("models: other files than before, by another version of the exporter perhaps")
    if differing:
        raise SystemExit(
            f"this study was begun in another way ({'; '.join(differing)}): "
            "give the same options, put the code back as it was, or take another folder"
        )
    return found


def other_core(core: int, cores: int) -> int:
    """The core for a hog that is not to be on the measuring one; the same one where there is no other."""
    return (core - 1) % cores


def push_models(device: AgentDevice, header: Header, folder: Path) -> None:
    """Bring the models to the device."""
    for sha256 in header.models:
        device.push(folder / f"{sha256}.onnx", sha256, ".onnx")
