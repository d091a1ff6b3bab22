import numpy as np
import pytest

from hytnas_host.export import ExportError
from hytnas_host.export.agreement import CASES, TOLERANCE, agreement, check_agreement
from hytnas_host.export.parity import reference_inputs, torch_outputs
from hytnas_host.models import build_network, calibrate_batch_norm


@pytest.fixture(scope="module")
def network(plan):
    network = build_network(plan, rng=np.random.default_rng(0))
    calibrate_batch_norm(network, plan, np.random.default_rng(1))
    return network


@pytest.fixture(scope="module")
def computed(plan, network) -> np.ndarray:
    """What the network computes of the images that models are compared on."""
    return torch_outputs(network, plan, reference_inputs(plan.task, CASES))


@pytest.fixture
def computed_once(computed, monkeypatch) -> None:
    """It is not computed again."""
    monkeypatch.setattr("hytnas_host.export.agreement.torch_outputs", lambda *_: computed)


def disturbed(outputs: np.ndarray, share: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=outputs.shape)
    return (outputs + share * outputs.std(axis=0) * noise).astype(np.float32)


def test_equal_outputs_agree_wholly() -> None:
    outputs = np.random.default_rng(0).normal(5, 0.1, (20, 1, 3)).astype(np.float32)
    found = agreement(outputs, outputs)
    assert found.correlation == pytest.approx(1)
    assert (found.relative_error, found.kendall_tau, found.good) == (0, 1, True)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda outputs: np.full_like(outputs, outputs.mean()),
        lambda outputs: 3 * outputs,
        lambda outputs: outputs[::-1],
        lambda outputs: disturbed(outputs, 1.0),
    ],
    ids=["constant", "of another scale", "of other images", "half noise"],
)
@pytest.mark.usefixtures("computed_once")
def test_outputs_that_do_not_follow_the_network_are_refused(plan, network, computed, wrong) -> None:
    with pytest.raises(ExportError, match=r"does not compute what the network computes: correlation"):
        check_agreement(network, plan, lambda inputs: wrong(computed))


@pytest.mark.usefixtures("computed_once")
def test_small_errors_pass_and_the_device_is_given_their_limit(plan, network, computed) -> None:
    parity = check_agreement(network, plan, lambda inputs: disturbed(computed, 0.15))
    assert parity.correlation > 0.95
    assert parity.tolerance == TOLERANCE
    assert len(parity.inputs) == len(parity.outputs) == 3 < CASES
    assert 0 < parity.error < TOLERANCE * parity.spread


def test_a_constant_output_exceeds_the_devices_limit(plan, network) -> None:
    parity = check_agreement(network, plan, lambda inputs: torch_outputs(network, plan, inputs))
    for constant in (parity.outputs.mean(axis=0), parity.outputs[0]):
        assert np.abs(parity.outputs - constant).max() > TOLERANCE * parity.spread
