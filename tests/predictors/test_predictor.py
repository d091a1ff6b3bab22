import json
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from hytnas_datasets.label_context import LabelContext, ModelFiles
from hytnas_datasets.labelled import LabelledSet
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Space, Variable, get_space
from hytnas_predictors.errors import PredictorError, PredictorMismatchError
from hytnas_predictors.estimators import list_estimators
from hytnas_predictors.metrics import kendall_tau
from hytnas_predictors.persistence import load_predictor, read_info, save_predictor
from hytnas_predictors.predictor import Predictor, fit_predictor
from hytnas_predictors.recipes import Recipe

HYT = get_space("hyt")
PLAIN = Recipe("mlp2", ("ordinal",), "log", {"members": 2})


def made_as(labelled: LabelledSet, model_files: ModelFiles) -> LabelledSet:
    return replace(labelled, context=msgspec.structs.replace(labelled.context, model_files=model_files))


def fit(labelled: LabelledSet, recipe: Recipe = PLAIN) -> Predictor:
    return fit_predictor(recipe.estimator, labelled, rng=np.random.default_rng(0), recipe=recipe)


@pytest.mark.parametrize("name", list_estimators())
def test_every_predictor_ranks_what_it_has_not_seen(name: str, make_labelled) -> None:
    predictor = fit_predictor(name, make_labelled(80), rng=np.random.default_rng(0))
    fresh = make_labelled(60, seed=9)
    prediction = predictor.predict(fresh.architectures)
    assert kendall_tau(fresh.y, prediction.mean) > 0.75
    assert prediction.mean.shape == prediction.std.shape == prediction.extrapolated.shape == (60,)
    assert (prediction.mean > 0).all()
    assert (prediction.std >= 0).all()


@pytest.mark.parametrize("name", list_estimators())
def test_saved_and_loaded_predicts_bit_equally(name: str, make_labelled, tmp_path: Path) -> None:
    predictor = fit_predictor(name, make_labelled(30), rng=np.random.default_rng(0))
    fresh = make_labelled(10, seed=9).architectures
    save_predictor(predictor, tmp_path / "saved")
    loaded = load_predictor(tmp_path / "saved", space=HYT)
    before, after = predictor.predict(fresh), loaded.predict(fresh)
    np.testing.assert_array_equal(before.mean, after.mean)
    np.testing.assert_array_equal(before.std, after.std)
    np.testing.assert_array_equal(before.extrapolated, after.extrapolated)
    assert loaded.info == predictor.info
    assert loaded.warnings == ()


def test_what_lies_outside_the_training_rows_is_flagged(make_labelled) -> None:
    labelled = make_labelled(60)
    codes = HYT.encode(labelled.architectures)
    inside = codes[:, 0] <= 1
    kept = [each for each, keep in zip(labelled.architectures, inside, strict=True) if keep]
    small = replace(
        labelled,
        architectures=tuple(kept),
        plan_hashes=tuple(np.array(labelled.plan_hashes)[inside]),
        y=labelled.y[inside],
        repeats=tuple(each for each, keep in zip(labelled.repeats, inside, strict=True) if keep),
    )
    recipe = Recipe("xgboost", ("ordinal",), "log", {"members": 1})
    flags = fit(small, recipe).predict(labelled.architectures).extrapolated
    assert flags[~inside].all()
    assert not flags[inside].any()


def test_a_mean_beyond_the_labels_is_flagged(make_labelled) -> None:
    labelled = make_labelled(40)
    predictor = fit(labelled)
    narrow = replace(
        predictor, info=msgspec.structs.replace(predictor.info, label_high=predictor.info.label_low)
    )
    assert not predictor.predict(labelled.architectures).extrapolated.all()
    assert narrow.predict(labelled.architectures).extrapolated.all()


def test_the_info_says_what_it_was_fitted_to(make_labelled, context) -> None:
    labelled = make_labelled(30)
    info = fit(labelled).info
    assert (info.space, info.space_hash) == ("hyt", HYT.hash())
    assert info.context == labelled.context == LabelContext(Task(), device=context)
    assert (info.target, info.unit, info.scale) == ("latency_ms", "ms", "log")
    assert info.context.execution == "simulated"
    assert (info.labels, info.label_low, info.label_high) == (30, labelled.y.min(), labelled.y.max())
    assert {"numpy", "scikit-learn", "lightgbm"} <= set(info.libraries)


def test_architectures_of_another_space_are_refused(make_labelled) -> None:
    other = get_space("hyt-released").sample(1, np.random.default_rng(0))
    with pytest.raises(PredictorError, match="hyt-released was given to a predictor for hyt"):
        fit(make_labelled(30)).predict(other)


def test_another_space_is_refused_even_by_force_where_features_differ(make_labelled, tmp_path: Path) -> None:
    save_predictor(fit(make_labelled(30)), tmp_path / "saved")
    with pytest.raises(PredictorMismatchError, match="space hyt, now hyt-released") as caught:
        load_predictor(tmp_path / "saved", space=get_space("hyt-released"))
    assert caught.value.fields == ("space",)
    with pytest.raises(PredictorError, match="features are not those"):
        load_predictor(tmp_path / "saved", space=get_space("hyt-released"), force=True)


def test_another_version_of_the_space_is_refused_unless_forced(make_labelled, tmp_path: Path) -> None:
    save_predictor(fit(make_labelled(30)), tmp_path / "saved")
    first, *others = HYT.variables
    changed = Space("hyt", (Variable(first.name, (*first.choices, 5)), *others))
    with pytest.raises(PredictorMismatchError, match="another version of the space hyt"):
        load_predictor(tmp_path / "saved", space=changed)
    assert "another version" in load_predictor(tmp_path / "saved", space=changed, force=True).warnings[0]


def test_another_context_is_refused_with_the_fields_that_differ(
    make_labelled, context, tmp_path: Path
) -> None:
    save_predictor(fit(make_labelled(30)), tmp_path / "saved")
    same = LabelContext(Task(), device=context)
    other = msgspec.structs.replace(same, device=msgspec.structs.replace(context, kernel="7.0", threads=4))
    with pytest.raises(PredictorMismatchError, match=r"kernel 6.1, now 7.0; threads 1, now 4") as caught:
        load_predictor(tmp_path / "saved", space=HYT, context=other)
    assert caught.value.fields == ("kernel", "threads")
    forced = load_predictor(tmp_path / "saved", space=HYT, context=other, force=True)
    assert forced.warnings == ("kernel 6.1, now 7.0", "threads 1, now 4")
    assert load_predictor(tmp_path / "saved", space=HYT, context=same).warnings == ()


def test_another_task_is_refused(make_labelled, tmp_path: Path) -> None:
    save_predictor(fit(make_labelled(30)), tmp_path / "saved")
    with pytest.raises(PredictorMismatchError, match="resolution 224, now 96"):
        load_predictor(tmp_path / "saved", space=HYT, context=LabelContext(Task(resolution=96)))


def test_model_files_made_in_another_way_are_refused(make_labelled, tmp_path: Path) -> None:
    fitted = ModelFiles("tflite", "fp32", "litert-torch", "0.10.0")
    save_predictor(fit(made_as(make_labelled(30), fitted)), tmp_path / "saved")
    same = LabelContext(Task(), fitted)
    assert load_predictor(tmp_path / "saved", space=HYT, context=same).info.context.model_files == fitted
    other = LabelContext(Task(), ModelFiles("tflite", "int8", "onnx2tf", "0.10.0"))
    with pytest.raises(PredictorMismatchError, match="precision fp32, now int8") as caught:
        load_predictor(tmp_path / "saved", space=HYT, context=other)
    assert caught.value.fields == ("precision", "converter")


@pytest.mark.parametrize(
    ("version", "fields"), [("2.13.0+cu130", ()), ("", ()), ("2.14.0+cpu", ("converter_version",))]
)
def test_builds_of_one_converter_version_are_alike(
    make_labelled, tmp_path: Path, version: str, fields: tuple[str, ...]
) -> None:
    fitted = ModelFiles("onnx", "fp32", "torch.onnx (tracing)", "2.13.0+cpu")
    save_predictor(fit(made_as(make_labelled(30), fitted)), tmp_path / "saved")
    now = LabelContext(Task(), msgspec.structs.replace(fitted, converter_version=version))
    loaded = load_predictor(tmp_path / "saved", space=HYT, context=now, force=True)
    assert len(loaded.warnings) == len(fields)
    if fields:
        with pytest.raises(
            PredictorMismatchError, match=r"converter_version 2\.13\.0, now 2\.14\.0"
        ) as caught:
            load_predictor(tmp_path / "saved", space=HYT, context=now)
        assert caught.value.fields == fields


def test_labels_that_are_no_numbers_or_not_positive_are_refused(make_labelled) -> None:
    labelled = make_labelled(30)
    for bad, said in ((np.nan, "NaN"), (0.0, "not positive")):
        y = labelled.y.copy()
        y[4] = bad
        with pytest.raises(PredictorError, match=f"1 of 30 labels are {said}.*row 4"):
            fit(replace(labelled, y=y))


def test_saving_again_replaces(make_labelled, tmp_path: Path) -> None:
    save_predictor(fit(make_labelled(30), Recipe("lightgbm", ("ordinal",))), tmp_path / "saved")
    save_predictor(fit(make_labelled(40)), tmp_path / "saved")
    assert load_predictor(tmp_path / "saved", space=HYT).info.labels == 40
    assert [each.name for each in tmp_path.iterdir()] == ["saved"]
    files = {each.name for each in (tmp_path / "saved" / "estimator").iterdir()}
    assert files == {"estimator.json", "member-0.safetensors"}


def test_a_folder_of_something_else_is_left_alone(make_labelled, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(PredictorError, match="no predictor"):
        save_predictor(fit(make_labelled(30)), tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "precious"


@pytest.mark.parametrize("place", ["saved", ".saved.new"])
def test_a_file_that_somebody_put_beside_a_predictor_is_kept(
    make_labelled, tmp_path: Path, place: str
) -> None:
    predictor = fit(make_labelled(30))
    save_predictor(predictor, tmp_path / "saved")
    precious = tmp_path / place / "thesis.txt"
    precious.parent.mkdir(exist_ok=True)
    precious.write_text("precious")
    with pytest.raises(PredictorError, match=r"no predictor: thesis\.txt.*move that elsewhere"):
        save_predictor(predictor, tmp_path / "saved")
    assert precious.read_text() == "precious"
    assert load_predictor(tmp_path / "saved", space=HYT).info.labels == 30


def test_a_link_to_a_folder_elsewhere_stays_one(make_labelled, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "saved").symlink_to("elsewhere")
    for labels in (30, 40):
        save_predictor(fit(make_labelled(labels)), tmp_path / "saved")
        assert load_predictor(tmp_path / "elsewhere", space=HYT).info.labels == labels
    assert (tmp_path / "saved").is_symlink()


def test_what_an_interruption_left_is_replaced(
    make_labelled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    predictor = fit(make_labelled(30))
    calls = ("mkdir", "write_bytes", "unlink", "rmdir", "rename")
    for name in calls:
        save_predictor(predictor, tmp_path / "saved")
        with monkeypatch.context() as cut:
            true = getattr(Path, name)

            def interrupted(*arguments: object, true=true, **options: object) -> None:
                true(*arguments, **options)
                raise KeyboardInterrupt

            cut.setattr(Path, name, interrupted)
            with pytest.raises(KeyboardInterrupt):
                save_predictor(predictor, tmp_path / "saved")
    save_predictor(predictor, tmp_path / "saved")
    assert [each.name for each in tmp_path.iterdir()] == ["saved"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda text: text[:100], id="cut off"),
        pytest.param(lambda text: "[" * 100_000, id="deep nesting"),
        pytest.param(lambda text: json.dumps(json.loads(text) | {"format": 9}), id="another format"),
        pytest.param(lambda text: text.replace('"stage1.blocks",', "", 1), id="a name less"),
    ],
)
def test_a_damaged_info_is_refused(change, make_labelled, tmp_path: Path) -> None:
    save_predictor(fit(make_labelled(30)), tmp_path / "saved")
    path = tmp_path / "saved" / "predictor.json"
    path.write_text(change(path.read_text()))
    with pytest.raises(PredictorError, match="cannot be used"):
        load_predictor(tmp_path / "saved", space=HYT)


def test_a_missing_predictor_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(PredictorError, match=r"predictor.json cannot be read"):
        read_info(tmp_path)
