"""The bundled strategies run through the suite that ships with the host, and it finds what is wrong."""

import numpy as np
import pytest

from hytnas_host.search import STRATEGIES
from hytnas_host.search.strategies.conformance import (
    CHECKS,
    check_a_restored_strategy_goes_on_bit_identically,
    check_exact_constraints_are_never_broken,
    check_pending_candidates_are_not_asked_again,
    check_the_seed_decides,
)
from hytnas_host.search.strategies.random import RandomStrategy

OF_OTHER_PARTS = ("hyt-plus", "mobo-gp")
"""They are ``hyt`` made of other parts: what depends on these is checked."""
PARTS_DECIDE = (check_the_seed_decides, check_a_restored_strategy_goes_on_bit_identically)
CASES = [
    (check, name)
    for name in STRATEGIES.bundled
    for check in CHECKS
    if name not in OF_OTHER_PARTS or check in PARTS_DECIDE
]


@pytest.mark.parametrize(("check", "name"), CASES)
def test_it_conforms(check, name, tmp_path):
    check(name, tmp_path)


class Forgetful(RandomStrategy):
    """Forgets what it asked for, and draws from a generator of its own."""

    def ask(self, n):
        asked = super().ask(n)
        self.pending.clear()
        self.rng = np.random.default_rng()
        return asked


def test_a_strategy_that_forgets_is_found(monkeypatch, tmp_path):
    monkeypatch.setitem(STRATEGIES._loaded, "random", Forgetful)
    check_exact_constraints_are_never_broken("random", tmp_path)
    with pytest.raises(AssertionError, match="equal seeds gave different runs"):
        check_the_seed_decides("random", tmp_path)
    with pytest.raises(AssertionError):
        check_pending_candidates_are_not_asked_again("random", tmp_path)
