import numpy as np
import pytest

from hytnas_datasets.families import get_family
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.plan.layers import size
from hytnas_datasets.spaces import Space, Variable, When, get_space
from hytnas_datasets.work import WORK_COLUMNS, work_of
from hytnas_predictors.errors import PredictorError
from hytnas_predictors.features import (
    FEATURE_SETS,
    OF_NETWORKS,
    PHYSICAL_WORK,
    make_features,
    physical_names,
    usable_sets,
)

TASK = Task()


@pytest.mark.parametrize("name", ["hyt", "hyt-released", "hyt-mixed"])
def test_every_set_gives_named_finite_columns(name: str) -> None:
    space = get_space(name)
    architectures = space.sample(12, np.random.default_rng(0))
    for sets in (*((each,) for each in FEATURE_SETS), FEATURE_SETS):
        table = make_features(space, architectures, TASK, sets)
        assert table.x.shape == (12, len(table.names))
        assert len(set(table.names)) == len(table.names)
        assert np.isfinite(table.x).all()


@pytest.mark.parametrize("sets", [(each,) for each in FEATURE_SETS])
def test_no_architectures_give_no_rows_but_all_names(sets: tuple) -> None:
    space = get_space("hyt")
    some = make_features(space, space.sample(2, np.random.default_rng(0)), TASK, sets)
    none = make_features(space, (), TASK, sets)
    assert none.names == some.names
    assert none.x.shape == (0, len(some.names))


def test_rows_depend_on_their_own_architecture_alone() -> None:
    space = get_space("hyt")
    architectures = space.sample(6, np.random.default_rng(1))
    together = make_features(space, architectures, TASK, FEATURE_SETS).x
    alone = np.vstack([make_features(space, [each], TASK, FEATURE_SETS).x for each in architectures])
    np.testing.assert_array_equal(together, alone)


def test_physical_columns_are_the_plans_counts() -> None:
    space = get_space("hyt")
    architecture = space.sample(1, np.random.default_rng(2))[0]
    plan = build_plan(architecture, TASK)
    table = make_features(space, [architecture], TASK, ["physical"])
    column = dict(zip(table.names, table.x[0], strict=True))
    assert np.expm1(column["log macs"]) == pytest.approx(plan.macs)
    assert np.expm1(column["log params"]) == pytest.approx(plan.params)
    assert column["layers"] == len(plan)
    by_kind = sum(np.expm1(column[f"log {name}"]) for name in PHYSICAL_WORK if name.endswith("macs"))
    assert by_kind == pytest.approx(plan.macs)
    norms = sum(size(layer.shape) for layer in plan.layers if layer.kind == "layer_norm")
    assert np.expm1(column["log layer_norm written"]) == pytest.approx(norms)
    by_stage = sum(np.expm1(column[f"{stage} log macs"]) for stage in plan.per_stage())
    assert by_stage == pytest.approx(plan.macs)
    assert set(plan.per_stage()) <= {name.split(" ")[0] for name in physical_names(get_family("hyt").stages)}


@pytest.mark.parametrize("name", ["hyt", "hyt-released", "hyt-mixed"])
def test_work_columns_are_those_of_the_plan(name: str) -> None:
    space = get_space(name)
    architectures = space.sample(40, np.random.default_rng(3))
    table = make_features(space, architectures, TASK, ["work"])
    expected = [work_of(build_plan(each, TASK).layers) for each in architectures]
    np.testing.assert_array_equal(table.x, expected)
    assert table.names == WORK_COLUMNS


def test_widths_are_those_of_the_convolutions() -> None:
    space = get_space("hyt-released")  # widths follow from factors, and are capped
    architectures = space.sample(8, np.random.default_rng(4))
    table = make_features(space, architectures, TASK, ["widths"])
    for row, architecture in zip(table.x, architectures, strict=True):
        found = dict(zip(table.names, np.exp(row), strict=True))
        layers = build_plan(architecture, TASK).layers
        for stage in ("stage1", "stage3", "stage5"):
            written = [layer.shape[0] for layer in layers if layer.stage == stage and layer.kind == "conv"]
            assert found[f"{stage} log inner width"] == pytest.approx(written[0])
            assert found[f"{stage} log width"] == pytest.approx(written[-1])


def test_numbers_are_scaled_evenly_and_words_left_out() -> None:
    """256, 512, 1024 are even by their logarithms, 0.0003, 0.0006, 0.001 more so as they are."""
    space = Space(
        "table",
        (
            Variable("width", (1024, 256, 512)),
            Variable("rate", (0.0003, 0.0006, 0.001)),
            Variable("shift", (-5, 0, 5)),
            Variable("only", (7,)),
            Variable("layout", ("nchw", "nhwc")),
            Variable("step", (1, 2), When("layout", ("nhwc",))),
            Variable("huge", (1, 10**400)),
        ),
        family="none",
    )
    values = [
        {"width": 512, "rate": 0.0006, "shift": 0, "only": 7, "layout": "nhwc", "step": 2, "huge": 1},
        {"width": 1024, "rate": 0.001, "shift": -5, "only": 7, "layout": "nchw", "huge": 10**400},
    ]
    table = make_features(space, [space.from_values(each) for each in values], TASK, ["numeric"])
    assert table.names == (
        "width logarithm", "rate value", "shift value", "only value", "step value", "step exists"
    )  # fmt: skip
    np.testing.assert_allclose(table.x, [[0.5, 3 / 7, 0.5, 0, 1, 1], [1, 1, 0, 0, 0, 0]])


def test_a_space_without_plans_or_numbers_has_no_features_of_them() -> None:
    words = Space("words", (Variable("a", ("x", "y")), Variable("b", (1, "two"))), family="none")
    assert usable_sets(words, ("one-hot", "numeric")) == ("one-hot",)
    with pytest.raises(PredictorError, match="no variable of the space words has numbers"):
        make_features(words, (), TASK, ["numeric"])
    table_only = Space("table-only", (Variable("a", (1, 2, 3)), Variable("b", (0.5, 1.0))), family="none")
    assert usable_sets(table_only, ("ordinal", "numeric", "physical")) == ("ordinal", "numeric")
    assert usable_sets(table_only, ("physical",)) == ("ordinal",)
    for name in OF_NETWORKS:
        with pytest.raises(PredictorError, match=f"no layer plans, so no {name} features"):
            make_features(table_only, table_only.sample(2, np.random.default_rng(0)), TASK, [name])


def test_unknown_and_no_sets_are_refused() -> None:
    with pytest.raises(PredictorError, match="unknown feature set 'all'"):
        make_features(get_space("hyt"), (), TASK, ["all"])  # type: ignore[list-item]
    with pytest.raises(PredictorError, match="no feature set"):
        make_features(get_space("hyt"), (), TASK, [])
