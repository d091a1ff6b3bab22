"""Labels of one device, few, and a predictor for another: more than the few say alone, and who says what."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as with_fields

from hytnas_datasets.bundled import load
from hytnas_datasets.errors import NotEnoughDataError
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import network_hash
from hytnas_datasets.spaces import Architecture, get_space
from hytnas_datasets.targets import LATENCY, get_target
from hytnas_datasets.work import WORK_COLUMNS
from hytnas_predictors.design import choose_networks
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.features import make_features
from hytnas_predictors.metrics import mape
from hytnas_predictors.persistence import load_predictor, save_predictor
from hytnas_predictors.predictor import Predictor, fit_predictor
from hytnas_predictors.transfer import describe_prior, transfer_predictor

HYT = get_space("hyt")
NEW = slice(200, None)


@pytest.fixture(scope="module")
def source() -> LabelledSet:
    return load("hyt-icount-a53")


@pytest.fixture(scope="module")
def prior(source) -> Predictor:
    return fit_predictor("layerwise", source, rng=np.random.default_rng(0))


class MadeUpDevice:
    """A device that does not exist: other costs for each kind of work, a power, and 2 % noise."""

    def __init__(self, prior: Predictor, context: LabelContext, seed: int) -> None:
        rng = np.random.default_rng([5, seed])
        kinds = [name.split()[0] for name in WORK_COLUMNS]
        dearer = {kind: np.exp(0.5 * rng.normal()) for kind in dict.fromkeys(kinds)}
        self.costs = prior.estimator.unit_costs()[0] * [dearer[kind] for kind in kinds]
        self.context = context
        self.rng = rng

    def measure(self, architectures: Sequence[Architecture]) -> LabelledSet:
        x = make_features(HYT, architectures, self.context.task, ("work",)).x
        y = 0.01 * (x @ self.costs) ** 0.9 * np.exp(0.02 * self.rng.normal(size=len(x)))
        return LabelledSet(
            space=HYT,
            architectures=tuple(architectures),
            plan_hashes=tuple(network_hash(each, self.context.task) for each in architectures),
            y=y,
            repeats=tuple(y[:, None]),
            target=LATENCY,
            context=self.context,
            provenance="made up: other costs of work, and noise",
        )


@pytest.fixture(scope="module")
def native(source, context) -> LabelContext:
    return LabelContext(source.context.task, device=with_fields(context, execution="native"))


@pytest.fixture(scope="module")
def made_up(source, prior, native) -> LabelledSet:
    return MadeUpDevice(prior, native, 0).measure(source.architectures)


@pytest.fixture(scope="module")
def transferred(prior, made_up) -> Predictor:
    return transfer_predictor(prior, made_up.take(range(10)), rng=np.random.default_rng(0))


def test_ten_chosen_labels_and_a_prior_say_more_than_twice_as_many(prior, native):
    found = []
    for seed in range(3):
        device, rng = MadeUpDevice(prior, native, seed), np.random.default_rng(seed)
        chosen = device.measure(choose_networks(HYT, native.task, 10, rng))
        transferred = transfer_predictor(prior, chosen, rng=rng)
        alone = fit_predictor("layerwise", device.measure(HYT.sample(20, rng)), rng=rng)
        new = device.measure(HYT.sample(150, rng))
        said = [each.predict(new.architectures) for each in (transferred, alone)]
        scaled = prior.predict(new.architectures).mean
        scaled = scaled * np.exp(np.mean(np.log(chosen.y / prior.predict(chosen.architectures).mean)))
        inside = np.mean(np.abs(new.y - said[0].mean) < 1.645 * said[0].std)
        found.append([mape(new.y, mean) for mean in (said[0].mean, said[1].mean, scaled)] + [inside])
    transfer_error, alone_error, scaled_error, inside = np.mean(found, axis=0)
    assert transfer_error < 0.9 * alone_error
    assert transfer_error < 0.5 * scaled_error
    assert inside > 0.7


def test_it_speaks_for_the_device_of_its_labels_and_names_its_prior(source, made_up, transferred):
    info = transferred.info
    assert info.context == made_up.context
    assert info.context.execution == "native"
    assert info.provenance == made_up.provenance
    assert info.prior.context.execution == "instruction_count"
    assert describe_prior(info.prior) == (
        f"prior from 430 labels (instruction-count latency, emulated Cortex-A53): {source.provenance}"
    )


def test_native_labels_as_a_prior_do_not_make_counted_ones_native(source, made_up):
    native = fit_predictor("layerwise", made_up.take(range(60)), rng=np.random.default_rng(0))
    counted = transfer_predictor(native, source.take(range(10)), rng=np.random.default_rng(0))
    assert counted.info.context.execution == "instruction_count"
    assert counted.info.prior.context.execution == "native"


def test_saved_it_needs_nothing_but_its_folder(transferred, made_up, tmp_path):
    save_predictor(transferred, tmp_path / "latency")
    again = load_predictor(tmp_path / "latency", space=made_up.space, context=made_up.context)
    assert again.info == transferred.info
    ours, theirs = (each.predict(made_up.architectures[NEW]) for each in (again, transferred))
    np.testing.assert_array_equal(ours.mean, theirs.mean)
    np.testing.assert_array_equal(ours.std, theirs.std)


def test_the_labels_may_be_of_another_space(prior, context):
    space = get_space("hyt-released")
    architectures = space.sample(12, np.random.default_rng(0))
    x = make_features(space, architectures, prior.info.context.task, ("work",)).x
    y = 2.0 * np.exp(prior.estimator.predict(x))
    labels = LabelledSet(
        space=space,
        architectures=tuple(architectures),
        plan_hashes=tuple(map(str, range(12))),
        y=y,
        repeats=tuple(y[:, None]),
        target=LATENCY,
        context=LabelContext(prior.info.context.task, device=context),
    )
    found = transfer_predictor(prior, labels.take(range(6)), rng=np.random.default_rng(0))
    assert mape(y[6:], found.predict(labels.architectures[6:]).mean) < 0.02


def test_too_few_labels_and_other_priors_are_refused(source, prior, made_up, transferred):
    rng = np.random.default_rng(0)
    with pytest.raises(NotEnoughDataError, match="3 labels are too few"):
        transfer_predictor(prior, made_up.take(range(3)), rng=rng)
    trees = fit_predictor("lightgbm", source.take(range(40)), rng=rng)
    with pytest.raises(PredictorError, match="cannot start from the predictor lightgbm"):
        transfer_predictor(trees, made_up.take(range(10)), rng=rng)
    with pytest.raises(PredictorError, match="cannot start from the predictor transfer"):
        transfer_predictor(transferred, made_up.take(range(10)), rng=rng)
    energy = replace(made_up, target=get_target("energy_mj"))
    with pytest.raises(PredictorError, match="predicts latency_ms, not energy_mj"):
        transfer_predictor(prior, energy.take(range(10)), rng=rng)


def test_work_that_neither_device_knows_is_flagged(prior, made_up, transferred):
    x = make_features(made_up.space, made_up.architectures[NEW], made_up.context.task, ("work",)).x
    flagged = transferred.estimator.predict_with_range(x)[2]
    assert flagged.mean() < 0.3
    np.testing.assert_array_equal(transferred.predict(made_up.architectures[NEW]).extrapolated, flagged)
    unseen = ~prior.estimator.model_.seen
    assert unseen.any()
    x[:, np.flatnonzero(unseen)[0]] = 1e6
    assert transferred.estimator.predict_with_range(x)[2].all()
