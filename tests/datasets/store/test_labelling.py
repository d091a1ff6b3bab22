from types import SimpleNamespace

import numpy as np
import pytest

from hytnas_agent.pass_records import OperatorProfile, OperatorTime
from hytnas_agent.records import DeviceIdentity, Outcome
from hytnas_datasets.errors import NotEnoughDataError, StudyError
from hytnas_datasets.label_context import ModelFiles
from hytnas_datasets.plan import Task
from hytnas_datasets.spaces import Architecture, Space
from hytnas_datasets.store import Study, recipe_fingerprint

Make = SimpleNamespace


def test_only_ok_labels_of_the_sample_are_taken(
    study: Study, space: Space, measured: list[Architecture]
) -> None:
    labelled = study.labelled("latency_ms", space=space)
    assert labelled.architectures == (measured[0], measured[2], measured[3])
    assert labelled.plan_hashes == ("p0", "p2", "p2")
    assert labelled.y.tolist() == [10.0, 20.0, 20.0]
    assert labelled.repeats[0].tolist() == [9.0, 10.0, 11.0]
    assert (labelled.context.task, labelled.context.execution) == (Task(resolution=224, classes=2), "native")
    assert labelled.context.device is not None
    assert "Raspberry Pi 3" in labelled.provenance
    assert labelled.extra["dropped"] == "1 OOM"


def test_a_latency_comes_with_the_last_profile_of_its_file_on_its_device(
    study: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    assert study.labelled("latency_ms", space=space).profiles == ()
    profiles = [OperatorProfile(9, 1.0, (OperatorTime("a", "Conv", float(i)),)) for i in range(3)]
    for number, (board, profile) in enumerate(zip(("board-1", "board-1", "board-2"), profiles, strict=True)):
        result = make.result(
            f"p{number}", "m2", measure_pass="profile", profile=profile, samples_ms=(), median_ms=None,
            identity=DeviceIdentity(board, "pi"),
        )  # fmt: skip
        study.results.add(result, model_sha256="m2", purpose="profile", replicate=0)
    labelled = study.labelled("latency_ms", space=space)
    assert labelled.profiles == (None, profiles[1], profiles[1])
    assert labelled.take([2, 0]).profiles == (profiles[1], None)
    assert study.labelled("model_bytes", space=space).profiles == ()


def test_labels_of_a_verification_are_never_learned_from(
    study: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    study.architectures.add(space, [measured[1]], ["p1"], "verify-0123abcd")
    study.labels.add(make.label("m1", (15.0,)), "verify-0123abcd", "board-1", make.context())
    assert measured[1] not in study.labelled("latency_ms", space=space).architectures


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 0.0, -1.0])
def test_labels_that_are_no_duration_are_dropped_and_counted(
    study: Study, space: Space, measured: list[Architecture], bad: float, make: Make
) -> None:
    study.labels.add(make.label("m0", (9.0, 10.0, 11.0), median_ms=bad), "latency", "board-1", make.context())
    labelled = study.labelled("latency_ms", space=space)
    assert measured[0] not in labelled.architectures
    assert labelled.extra["dropped"] == "1 INTERNAL, 1 OOM"


def test_an_emulated_latency_says_so(study: Study, space: Space, make: Make) -> None:
    study.architectures.add(space, space.decode([[0, 0, 0]]), ["p"], "latency")
    study.exports.add(make.export("m", "p"))
    study.labels.add(make.label("m"), "latency", "board-1", make.context(execution="emulated"))
    assert study.labelled("latency_ms", space=space).context.execution == "emulated"


def test_mixed_contexts_are_refused_with_the_fields_that_differ(
    study: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    other = make.context(governor="ondemand", threads=4)
    study.labels.add(make.label("m1", (5.0,)), "latency", "board-1", other)
    with pytest.raises(StudyError) as error:
        study.labelled("latency_ms", space=space)
    assert "governor: performance / ondemand" in str(error.value)
    assert "threads: 1 / 4" in str(error.value)
    assert "soc:" not in str(error.value)
    chosen = study.labelled("latency_ms", space=space, context_fingerprint=other.fingerprint())
    assert chosen.architectures == (measured[1],)
    assert chosen.context.device == other


def test_mixed_converters_are_refused(
    study: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    study.exports.add(make.export("m1b", "p1", converter="onnx2tf", format="tflite"))
    study.labels.add(make.label("m1b", (5.0,)), "latency", "board-1", make.context())
    with pytest.raises(StudyError, match=r"converter: torch / onnx2tf.*--converter"):
        study.labelled("latency_ms", space=space)
    for conditions in ({"model_format": "tflite"}, {"converter": "onnx2tf"}):
        chosen = study.labelled("latency_ms", space=space, **conditions)
        assert chosen.architectures == (measured[1],)
        assert chosen.context.model_files == ModelFiles("tflite", "fp32", "onnx2tf", "2.13.0")
    assert len(study.labelled("latency_ms", space=space, converter="torch")) == 3


def test_mixed_precisions_are_refused(
    study: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    study.exports.add(make.export("m1b", "p1", precision="int8"))
    study.labels.add(make.label("m1b", (5.0,)), "latency", "board-1", make.context(precision="int8"))
    with pytest.raises(StudyError, match=r"precision: fp32 / int8.*--precision"):
        study.labelled("latency_ms", space=space)
    assert study.labelled("latency_ms", space=space, precision="int8").architectures == (measured[1],)


def test_two_resolutions_are_told_apart(
    study: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    study.architectures.add(space, [measured[0]], ["p0-96"], "latency")
    study.exports.add(make.export("m96", "p0-96", task=Task(resolution=96)))
    study.labels.add(make.label("m96", (2.0,)), "latency", "board-1", make.context())
    with pytest.raises(StudyError, match=r"resolution: 96 / 224|resolution: 224 / 96"):
        study.labelled("latency_ms", space=space)
    assert study.labelled("latency_ms", space=space, task=Task(resolution=96)).y.tolist() == [2.0]
    assert len(study.labelled("latency_ms", space=space, task=Task())) == 3


def test_two_boards_of_one_context_share_a_label(
    study: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    study.labels.add(make.label("m0", (12.0, 14.0, 16.0)), "latency", "board-2", make.context())
    study.exports.add(make.export("canary", "canary-plan"))
    for board in ("board-1", "board-2"):
        for number in range(3):
            canary = make.result(f"{board}-{number}", "canary", identity=DeviceIdentity(board, "pi"))
            study.results.add(canary, model_sha256="canary", purpose="canary", replicate=number)
    labelled = study.labelled("latency_ms", space=space)
    assert labelled.y[0] == 12.0
    assert labelled.repeats[0].tolist() == [9.0, 10.0, 11.0, 12.0, 14.0, 16.0]
    assert len(labelled) == 3


def test_too_few_labels_say_what_to_do(study: Study, space: Space, measured: list[Architecture]) -> None:
    with pytest.raises(NotEnoughDataError, match=r"3 latency labels.*30 are needed.*collect latency"):
        study.labelled("latency_ms", space=space, minimum=30)
    with pytest.raises(NotEnoughDataError, match=r"0 accuracy labels.*collect accuracy"):
        study.labelled("accuracy", space=space)


@pytest.fixture
def trained(study: Study, space: Space, make: Make) -> list[Architecture]:
    architectures = list(space.decode([[0, 0, 0], [1, 0, 0], [2, 0, 0]]))
    study.architectures.add(space, architectures, ["p0", "p1", "p2"], "accuracy")
    for index, seed, accuracy in ((1, 0, 0.4), (0, 1, 0.7), (0, 0, 0.5), (2, 0, None)):
        failure = "diverged" if accuracy is None else ""
        study.accuracies.add(
            make.accuracy(architectures[index], f"p{index}", seed, accuracy=accuracy, failure=failure)
        )
    return architectures


def test_an_accuracy_is_the_mean_over_its_seeds(
    study: Study, space: Space, trained: list[Architecture]
) -> None:
    labelled = study.labelled("accuracy", space=space)
    assert labelled.architectures == tuple(trained[:2])
    np.testing.assert_allclose(labelled.y, [0.6, 0.4])
    assert [repeats.tolist() for repeats in labelled.repeats] == [[0.5, 0.7], [0.4]]
    assert labelled.context.device is None
    assert labelled.provenance == "accuracy after 2 epochs"
    assert labelled.extra == {"dropped": "1", "label_resolution": "1/800"}


def test_mixed_recipes_are_refused_with_the_fields_that_differ(
    study: Study, space: Space, trained: list[Architecture], make: Make
) -> None:
    recipe = {"epochs": 9, "learning_rate": 0.002}
    study.accuracies.add(make.accuracy(trained[1], "p1", 0, recipe=recipe, accuracy=0.9))
    with pytest.raises(StudyError, match="recipe epochs: 2 / 9") as error:
        study.labelled("accuracy", space=space)
    assert "learning_rate" not in str(error.value)
    chosen = study.labelled("accuracy", space=space, recipe=recipe_fingerprint(recipe))
    assert chosen.y.tolist() == [0.9]


@pytest.mark.parametrize(
    ("change", "quality_flags"),
    [
        ({"outcome": Outcome.UNSTABLE, "target_half_width": 0.015}, {"unstable"}),
        ({"too_few_undisturbed": True}, {"disturbed", "untargeted"}),
    ],
)
@pytest.mark.usefixtures("measured")
def test_a_doubtful_latency_is_a_label_unless_only_stable_ones_are_wanted(
    study: Study, space: Space, make: Make, change: dict, quality_flags: set[str]
) -> None:
    study.labels.add(make.label("m0", (9.0, 10.0, 11.0), **change), "latency", "board-1", make.context())
    study.labels.add(make.label("m2", (20.0,), target_half_width=0.015), "latency", "board-1", make.context())
    labelled = study.labelled("latency_ms", space=space)
    assert labelled.y.tolist() == [10.0, 20.0, 20.0]
    assert labelled.quality_flags == (quality_flags, set(), set())
    stable = labelled.stable()
    assert stable.architectures == labelled.architectures[1:]
    assert stable.y.tolist() == [20.0, 20.0]
    assert stable.devices == labelled.devices[1:]
    assert stable.left_out == (quality_flags,)


def test_a_network_of_two_boards_is_doubtful_if_one_of_its_labels_is(
    study: Study, space: Space, measured: list[Architecture], make: Make
) -> None:
    other = make.label("m0", (12.0, 14.0, 16.0), too_few_undisturbed=True)
    study.labels.add(other, "latency", "board-2", make.context())
    study.exports.add(make.export("canary", "canary-plan"))
    for board in ("board-1", "board-2"):
        for number in range(3):
            canary = make.result(f"{board}-{number}", "canary", identity=DeviceIdentity(board, "pi"))
            study.results.add(canary, model_sha256="canary", purpose="canary", replicate=number)
    labelled = study.labelled("latency_ms", space=space)
    assert "disturbed" in labelled.quality_flags[0]
    assert len(labelled.stable()) == len(labelled) - 1
