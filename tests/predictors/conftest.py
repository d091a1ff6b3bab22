"""Labels with a known rule, so that what a predictor should find is known."""

from collections.abc import Callable

import numpy as np
import pytest

from hytnas_agent.pass_records import OperatorProfile, OperatorTime
from hytnas_agent.records import DeviceContext
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import LayerPlan, Task, count_network, network_hash
from hytnas_datasets.plan.layers import Layer
from hytnas_datasets.spaces import get_space
from hytnas_datasets.targets import LATENCY

MakeLabelled = Callable[..., LabelledSet]
MakeProfile = Callable[[LayerPlan, Callable[[Layer], float]], OperatorProfile]


@pytest.fixture(scope="session")
def context() -> DeviceContext:
    return DeviceContext(
        board="Test board",
        soc="soc",
        architecture="aarch64",
        cores=4,
        memory_bytes=1 << 30,
        os="os 1",
        kernel="6.1",
        runtime="onnxruntime",
        runtime_version="1.31",
        runtime_build="cpu",
        threads=1,
        governor="performance",
        execution="simulated",
    )


@pytest.fixture(scope="session")
def make_labelled(context: DeviceContext) -> MakeLabelled:
    """Labelled architectures of ``hyt``: latency follows the MACs and the blocks of stage 1."""

    def make(n: int = 60, *, noise: float = 0.02, repeats: int = 5, seed: int = 0) -> LabelledSet:
        space, rng, task = get_space("hyt"), np.random.default_rng(seed), Task()
        architectures = space.sample(n, rng)
        macs = np.array([count_network(each, task).macs for each in architectures])
        blocks = space.encode(architectures)[:, 0]
        truth = 1e-7 * macs + 2.0 * blocks
        values = truth[:, None] * np.exp(noise * rng.normal(size=(n, repeats)))
        return LabelledSet(
            space=space,
            architectures=tuple(architectures),
            plan_hashes=tuple(network_hash(each, task) for each in architectures),
            y=np.median(values, axis=1),
            repeats=tuple(values),
            target=LATENCY,
            context=LabelContext(task, device=context),
            provenance="a formula",
        )

    return make


@pytest.fixture(scope="session")
def make_profile() -> MakeProfile:
    """A profile in which each layer is one operator of a given time, batch norms being folded away."""

    def make(plan: LayerPlan, time_us: Callable[[Layer], float]) -> OperatorProfile:
        operators = [
            OperatorTime(f"/{layer.name}/Kernel", "Kernel", time_us(layer))
            for layer in plan.layers
            if layer.kind not in ("input", "batch_norm")
        ]
        return OperatorProfile(9, 1.0, tuple(operators))

    return make
