import numpy as np

from hytnas_host.search.genetic import Scored, breed, evolve, survivors


def make_score(limit=None):
    def score(architectures):
        codes = np.array([a.indices for a in architectures], dtype=float).clip(0)
        total = codes.sum(axis=1)
        objectives = np.column_stack([total, (codes**2).max(axis=1) - total])
        violations = np.zeros((len(codes), 0)) if limit is None else (limit - total)[:, None]
        return objectives, violations

    return score


def test_evolution_finds_both_ends_of_a_front(wide_space):
    rng = np.random.default_rng(0)
    start = wide_space.sample(30, rng)
    final = evolve(wide_space, make_score(), start, generations=25, rng=rng)
    assert len(final.architectures) == 30
    assert all(wide_space.contains(a) for a in final.architectures)
    assert np.array_equal(make_score()(final.architectures)[0], final.objectives)
    first = make_score()(start)[0]
    assert (final.objectives.min(axis=0) <= first.min(axis=0)).all()
    assert final.objectives[:, 0].min() <= 1 < first[:, 0].min()


def test_evolution_keeps_to_constraints_and_conditions(conditional_space):
    rng = np.random.default_rng(1)
    start = conditional_space.sample(20, rng)
    final = evolve(conditional_space, make_score(6), start, generations=10, rng=rng)
    assert all(conditional_space.contains(a) for a in final.architectures)
    assert final.feasible.all()
    assert final.objectives[:, 0].min() == 6


def test_evolution_is_reproducible_and_leaves_the_global_generator_alone(wide_space):
    start = wide_space.sample(12, np.random.default_rng(0))
    outcomes = []
    for _ in range(2):
        state = np.random.get_state()[1].copy()  # noqa: NPY002
        outcomes.append(evolve(wide_space, make_score(), start, generations=5, rng=np.random.default_rng(3)))
        assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert outcomes[0].architectures == outcomes[1].architectures


def test_survivors_are_the_best_and_children_are_new(wide_space):
    rng = np.random.default_rng(2)
    parents = wide_space.sample(20, rng)
    scored = Scored(parents, *make_score()(parents))
    best_rows = scored.take(survivors(wide_space, scored, population=8, rng=rng))
    kept = best_rows.architectures
    children = breed(wide_space, best_rows, offspring=10, rng=rng)
    assert len(set(kept)) == 8
    assert set(kept) <= set(parents)
    assert np.array_equal(best_rows.objectives, make_score()(kept)[0])
    assert len(children) == 10
    assert not set(children) & set(kept)
    assert all(wide_space.contains(a) for a in children)
    best = parents[int(np.argmin(scored.objectives[:, 0]))]
    assert min(sum(a.indices) for a in kept) == sum(best.indices)


def test_infeasible_parents_survive_last(wide_space):
    rng = np.random.default_rng(2)
    parents = wide_space.sample(20, rng)
    objectives, _ = make_score()(parents)
    violations = np.where(np.arange(20) % 2 == 0, 1.0, -1.0)[:, None]
    scored = Scored(parents, objectives, violations)
    assert sorted(survivors(wide_space, scored, population=10, rng=rng)) == list(range(1, 20, 2))
