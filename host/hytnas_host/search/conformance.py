"""What the parts of a Bayesian search must do, bundled or not; see `hytnas_agent.conformance`."""

from pathlib import Path
from typing import Final

import numpy as np

from hytnas_agent.conformance import SuiteCheck
from hytnas_host.search.acquisition import ACQUISITIONS
from hytnas_host.search.initial import DESIGNS
from hytnas_host.search.selection import SELECTIONS, Offer
from hytnas_host.search.surrogates import make_surrogate
from hytnas_host.search.toy import conditional_space, small_space, toy_problem, wide_space


def check_a_surrogate_learns_and_its_rng_decides(name: str, folder: Path) -> None:
    """It learns two objectives from 40 rows, gives finite posteriors, and equal seeds give equal ones."""
    del folder
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, size=(60, 5)).astype(np.float64)
    y = np.column_stack([x.sum(axis=1) / 15, 1 - (x[:, 0] + x[:, 1]) / 6])
    kept = x.copy(), y.copy()
    found = [
        make_surrogate(name).fit(x[:40], y[:40], rng=np.random.default_rng(1)).predict(x[40:])
        for _ in range(2)
    ]
    mean, std = found[0]
    assert mean.shape == std.shape == (20, 2), f"posteriors of shape {mean.shape} and {std.shape}"
    assert np.isfinite(mean).all()
    assert np.isfinite(std).all()
    assert (std >= 0).all(), "a standard deviation is negative"
    for column in range(2):
        agreement = np.corrcoef(mean[:, column], y[40:, column])[0, 1]
        assert agreement > 0.6, f"objective {column} correlates with {agreement:.2f}"
    assert np.array_equal(found[1][0], mean), "equal seeds gave different posteriors"
    assert np.array_equal(x, kept[0]), "the rows were changed"
    assert np.array_equal(y, kept[1]), "the labels were changed"


def check_an_acquisition_prefers_what_is_better(name: str, folder: Path) -> None:
    """A smaller mean with the same standard deviation is never worse, and one exists that is better."""
    del folder
    acquire = ACQUISITIONS.get(name)(1.0)
    mean = np.linspace(0.0, 1.0, 11)[:, None] * np.ones((1, 2))
    kept = mean.copy()
    found = acquire(mean, np.full((11, 2), 0.2), np.full(2, 0.4))
    assert found.shape == (11, 2), f"values of shape {found.shape}"
    assert (np.diff(found, axis=0) >= 0).all(), "a greater mean is preferred"
    assert (found[0] < found[-1]).all(), "it tells nothing apart"
    assert np.isfinite(acquire(mean, np.zeros((11, 2)), np.full(2, 0.4))).all(), "certainty is not finite"
    assert np.array_equal(mean, kept), "the means were changed"


def check_a_selection_takes_different_candidates(name: str, folder: Path) -> None:
    """It takes as many as are wanted and there are, and the same ones for the same seed."""
    del folder
    rng = np.random.default_rng(3)
    values = rng.random((12, 2))
    offer = Offer(rng.random((4, 2)), values, values, rng.random((12, 2)), np.full(2, 1.1))
    select = SELECTIONS.get(name)()
    for n in (1, 5, 12, 20):
        chosen = select(offer, n, np.random.default_rng(0))
        assert len(chosen) == len(set(chosen)) == min(n, 12), f"{chosen} came where {n} were wanted"
        assert set(chosen) <= set(range(12))
        assert chosen == select(offer, n, np.random.default_rng(0)), "equal seeds gave different ones"


def check_a_design_gives_new_networks_of_the_space(name: str, folder: Path) -> None:
    """As many as are wanted, admissible, none twice, none that was seen; all of a space that has no more."""
    del folder
    for space in (small_space(), wide_space(), conditional_space()):
        problem = toy_problem(space, ["params <= 90"])
        seen = set(problem.identities(problem.draw_new(2, (), np.random.default_rng(5))))
        for n in (1, 9):
            first, again = (DESIGNS.get(name)(problem, n, seen, np.random.default_rng(1)) for _ in range(2))
            identities = problem.identities(first)
            assert len(first) == len(set(identities)) == n, f"{len(set(identities))} networks of {n}"
            assert not seen & set(identities), "one was seen before"
            assert problem.admissible(first).all(), "one breaks a constraint"
            assert first == again, "equal seeds gave different designs"
    whole = DESIGNS.get(name)(toy_problem(small_space()), 100, (), np.random.default_rng(0))
    assert len(whole) == 24, f"{len(whole)} of 24 networks came"


SURROGATE_CHECKS: Final[tuple[SuiteCheck, ...]] = (check_a_surrogate_learns_and_its_rng_decides,)
ACQUISITION_CHECKS: Final[tuple[SuiteCheck, ...]] = (check_an_acquisition_prefers_what_is_better,)
SELECTION_CHECKS: Final[tuple[SuiteCheck, ...]] = (check_a_selection_takes_different_candidates,)
DESIGN_CHECKS: Final[tuple[SuiteCheck, ...]] = (check_a_design_gives_new_networks_of_the_space,)
