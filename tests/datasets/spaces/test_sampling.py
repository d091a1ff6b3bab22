"""Samples are uniform over architectures, distinct, and set by the seed; and these tests can fail."""

import itertools
from collections import Counter
from functools import lru_cache

import numpy as np
import pytest
from scipy import stats

from hytnas_datasets.errors import SpaceError
from hytnas_datasets.spaces import HYT, HYT_MIXED, HYT_RELEASED, Space, Variable

LEVEL = 1e-3
SEED = 20_230_711


def tied_groups(space):
    """Columns of variables that depend on each other, and all combinations of their codes."""
    stages = {}
    for i, variable in enumerate(space.variables):
        stages.setdefault(variable.name.split(".")[0] if space is HYT_MIXED else i, []).append(i)
    for columns in stages.values():
        alone = Space("group", tuple(space.variables[i] for i in columns), "none")
        yield columns, np.array([architecture.indices for architecture in alone.enumerate()])


def counts_of(left, right):
    """(6, 6) occurrences of each pair of codes; -1 to 4 are the codes of the bundled spaces."""
    return np.bincount(6 * (left + 1) + right + 1, minlength=36).reshape(6, 6)


def p_values(codes, space, *, pairs):
    """Chi-square probabilities of every variable, or of every pair of variables."""
    forms = {i: (g, every[:, j]) for g, (c, every) in enumerate(tied_groups(space)) for j, i in enumerate(c)}
    v = len(space.variables)
    chosen = itertools.combinations(range(v), 2) if pairs else ((i, i) for i in range(v))
    for i, j in chosen:
        (group_i, form_i), (group_j, form_j) = forms[i], forms[j]
        if group_i == group_j:
            shares = counts_of(form_i, form_j) / len(form_i)
        else:
            shares = np.outer(counts_of(form_i, form_i).sum(1), counts_of(form_j, form_j).sum(1))
            shares = shares / shares.sum()
        observed = counts_of(codes[:, i], codes[:, j])
        possible = shares > 0
        if observed[~possible].any():
            yield 0.0
        elif possible.sum() > 1:
            yield stats.chisquare(observed[possible], shares[possible] * len(codes)).pvalue


@lru_cache
def sampled(space):
    """Codes of 50,000 sampled architectures, all distinct; not to be written to."""
    architectures = space.sample(50_000, np.random.default_rng(SEED))
    assert len(set(architectures)) == 50_000
    codes = space.encode(architectures)
    codes.flags.writeable = False
    return codes


def is_uniform(codes, space, *, pairs):
    """Whether no variable, or no pair, is off, at `LEVEL` corrected for their number."""
    found = list(p_values(codes, space, pairs=pairs))
    return min(found) > LEVEL / len(found)


@pytest.mark.parametrize("space", [HYT, HYT_RELEASED, HYT_MIXED], ids=lambda space: space.name)
@pytest.mark.parametrize("pairs", [False, True], ids=["variables", "pairs"])
def test_bundled_spaces_are_sampled_uniformly(space, pairs):
    assert is_uniform(sampled(space), space, pairs=pairs)


def test_a_skew_towards_small_values_would_be_noticed():
    codes = sampled(HYT).copy()
    smaller = np.minimum(codes, np.random.default_rng(SEED).permutation(codes))
    codes[:3_000] = smaller[:3_000]
    assert not is_uniform(codes, HYT, pairs=False)


def test_a_correlation_between_two_uniform_variables_would_be_noticed():
    codes = sampled(HYT).copy()
    codes[:3_000, 4] = codes[:3_000, 1]
    assert is_uniform(codes, HYT, pairs=False)
    assert not is_uniform(codes, HYT, pairs=True)


def test_drawing_choice_vectors_instead_of_architectures_would_be_noticed():
    """Half of all stages would be convolutions, though only 48 of a stage's 129 forms are."""
    rng = np.random.default_rng(SEED)
    codes = np.column_stack([rng.integers(len(v.choices), size=20_000) for v in HYT_MIXED.variables])
    names = HYT_MIXED.feature_names()
    for i, variable in enumerate(HYT_MIXED.variables):
        if variable.when:
            parent = names.index(variable.when.variable)
            codes[codes[:, parent] != ("attention" in variable.when.values), i] = -1
    assert HYT_MIXED.is_valid(codes).all()
    assert not is_uniform(codes, HYT_MIXED, pairs=False)


@pytest.mark.parametrize("n", [3, 40], ids=["few", "most"])
def test_every_architecture_of_a_constrained_space_is_equally_likely_at_every_place(conditional, n):
    index = {architecture: i for i, architecture in enumerate(conditional.enumerate())}
    assert n == 3 or 2 * n > conditional.size
    rng = np.random.default_rng(SEED)
    drawn = np.array([[index[a] for a in conditional.sample(n, rng)] for _ in range(3_000)])
    for place in (0, 1, n - 1):
        counts = np.bincount(drawn[:, place], minlength=conditional.size)
        assert stats.chisquare(counts).pvalue > LEVEL / 3
    assert all(len(set(row)) == n for row in drawn.tolist())


def test_ordered_pairs_without_replacement_are_equally_likely():
    space = Space("five", (Variable("v", (1, 2, 3, 4, 5)),), "none")
    rng = np.random.default_rng(SEED)
    pairs = Counter(tuple(a.indices[0] for a in space.sample(2, rng)) for _ in range(4_000))
    assert pairs.keys() == set(itertools.permutations(range(5), 2))
    assert stats.chisquare(list(pairs.values())).pvalue > LEVEL


def test_variables_of_a_space_beyond_64_bits_are_uniform():
    variables = tuple(Variable(f"v{i}", (1, 2, 3)) for i in range(50))
    space = Space("wide", variables, "none")
    codes = space.encode(space.sample(3_000, np.random.default_rng(SEED)))
    found = [stats.chisquare(np.bincount(column, minlength=3)).pvalue for column in codes.T]
    assert min(found) > LEVEL / len(found)


def test_the_seed_sets_the_sample():
    first, second, other = (HYT_MIXED.sample(50, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == second
    assert first != other


@pytest.mark.parametrize("n", [1, 10, 30])
def test_excluded_architectures_never_come(conditional, n):
    rng = np.random.default_rng(3)
    excluded = conditional.sample(n, rng)
    rest = conditional.sample(conditional.size - n, rng, exclude=[*excluded, excluded[0]])
    assert len(set(rest)) == conditional.size - n
    assert not set(rest) & set(excluded)


def test_what_is_left_after_exclusion_is_uniform(conditional):
    architectures = list(conditional.enumerate())
    excluded, kept = architectures[::2], architectures[1::2]
    rng = np.random.default_rng(SEED)
    counts = Counter(conditional.sample(1, rng, exclude=excluded)[0] for _ in range(3_000))
    assert counts.keys() == set(kept)
    assert stats.chisquare([counts[a] for a in kept]).pvalue > LEVEL


def test_more_than_there_are_is_refused(conditional):
    rng = np.random.default_rng(0)
    excluded = conditional.sample(2, rng)
    with pytest.raises(
        SpaceError, match=f"less 2 excluded; {conditional.size} were asked for. Ask for at most"
    ):
        conditional.sample(conditional.size, rng, exclude=excluded)
    with pytest.raises(SpaceError, match="Ask for 0 or more"):
        conditional.sample(-1, rng)
    with pytest.raises(SpaceError, match="does not belong"):
        conditional.sample(1, rng, exclude=HYT.sample(1, rng))
    assert conditional.sample(0, rng) == []
