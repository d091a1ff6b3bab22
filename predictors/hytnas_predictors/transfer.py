"""A predictor for one device from a few of its labels, with a predictor for another device as prior."""

import msgspec
import numpy as np

from hytnas_agent.records import EXECUTION_WORDS
from hytnas_datasets.families import has_networks
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.spaces import Space
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.predictor import Predictor, PriorInfo, fit_predictor, layerwise_of
from hytnas_predictors.recipes import TRANSFER, Recipe

ADVICE = (
    "Give labels to transfer from (a data set or a study), or a predictor fitted with --predictor layerwise."
)


def transfer_predictor(prior: Predictor, labelled: LabelledSet, *, rng: np.random.Generator) -> Predictor:
    """Fit the predictor ``transfer`` to the labels of a device.

    The two may be of different spaces, resolutions and model files: a kind of work is the same in all of
    them. What the predictor says holds for the device of ``labelled``, and its context is theirs alone;
    ``PredictorInfo.prior`` says where the prior comes from.

    Parameters
    ----------
    prior : Predictor
        A layer-wise one, of the other device, for the same target.
    labelled : LabelledSet of n labels
        Of the device that is predicted.
    rng : numpy.random.Generator

    Raises
    ------
    PredictorError
        If the prior is no layer-wise predictor or is of another target, or the space has no layer plans.
    NotEnoughDataError
        Below 4 labels.

    Examples
    --------
    >>> from hytnas_datasets.bundled import load
    >>> labels = load("hyt-icount-a53")
    >>> prior = fit_predictor("layerwise", labels.take(range(100)), rng=np.random.default_rng(0))
    >>> found = transfer_predictor(prior, labels.take(range(100, 110)), rng=np.random.default_rng(0))
    >>> found.info.labels, found.info.prior.labels
    (10, 100)
    """
    check_prior(prior, labelled.target.name)
    check_space(labelled.space)
    recipe = Recipe(TRANSFER, ("work",), "log", {"prior": prior.estimator})
    fitted = fit_predictor(TRANSFER, labelled, rng=rng, recipe=recipe)
    origin = PriorInfo(prior.info.provenance, prior.info.labels, prior.info.space, prior.info.context)
    return Predictor(msgspec.structs.replace(fitted.info, prior=origin), fitted.space, fitted.estimator)


def check_prior(prior: Predictor, target: str) -> None:
    """Raise PredictorError unless a transfer can start from this predictor."""
    if layerwise_of(prior) is None:
        raise PredictorError(f"a transfer cannot start from the predictor {prior.info.name}", ADVICE)
    if prior.info.target != target:
        raise PredictorError(f"the prior predicts {prior.info.target}, not {target}", ADVICE)


def check_space(space: Space) -> None:
    """Raise PredictorError where a transfer has no layers to go by."""
    if not has_networks(space):
        raise PredictorError(
            f"the space {space.name} has no layer plans, and a transfer goes by the work of layers",
            "Fit a predictor to labels of its own: hytnas-profile train.",
        )


def describe_prior(prior: PriorInfo) -> str:
    """One line on where a prior comes from.

    Examples
    --------
    >>> from hytnas_datasets.bundled import load
    >>> labels = load("hyt-icount-a53")
    >>> describe_prior(PriorInfo(labels.provenance, len(labels), "hyt", labels.context)).split(": ")[0]
    'prior from 430 labels (instruction-count latency, emulated Cortex-A53)'
    """
    words = EXECUTION_WORDS[prior.context.execution]
    return f"prior from {prior.labels} labels ({words}): {prior.provenance}"
