import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hytnas_agent.records import Outcome, Reference
from hytnas_agent.runtimes.base import RuntimeFailure, TensorSpec
from hytnas_agent.runtimes.integer_inputs import Range
from hytnas_agent.worker import tensors
from hytnas_agent.worker.tensors import (
    ArchiveError,
    ParityFailure,
    check_parity,
    given_inputs,
    load_arrays,
    random_inputs,
    read_archive,
    reference_cases,
)

IMAGE = TensorSpec("image", (1, 2, 3), "float32")
REFERENCE = Reference("a", "b", spread=2.0, tolerance=1e-3)


class Doubling:
    """A model whose output is twice its input, plus an error."""

    inputs = (IMAGE,)

    def __init__(self, error: float = 0.0) -> None:
        self._error = error

    def run(self, tensors: list) -> list:
        return [2 * tensors[0] + self._error]


@pytest.fixture
def cases() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((4, 1, 2, 3)).astype(np.float32)


def test_inputs_are_those_of_the_seed() -> None:
    first, again, other = (random_inputs([IMAGE], seed)[0] for seed in (7, 7, 8))
    np.testing.assert_array_equal(first, again)
    assert (first.shape, first.dtype) == ((1, 2, 3), np.float32)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("int8", -128, 127), ("int64", 0, 1), ("bool", 0, 1)]
)
def test_whole_numbers_fill_their_range(dtype: str, low: int, high: int) -> None:
    tensor = random_inputs([TensorSpec("x", (100, 100), dtype)], 0)[0]
    assert tensor.dtype == dtype
    assert (int(tensor.min()), int(tensor.max())) == (low, high)


@pytest.mark.parametrize(
    ("dtype", "allowed", "low", "high"),
    [
        ("int64", Range(low=1), 1, 1),
        ("int32", Range(0, 1), 0, 0),
        ("int64", Range(0, 9), 0, 1),
        ("uint8", Range(1, 7), 1, 6),
        ("int8", Range(low=1), 1, 127),
    ],
)
def test_whole_numbers_keep_to_what_the_graph_allows(dtype: str, allowed: Range, low: int, high: int) -> None:
    (tensor,) = random_inputs([TensorSpec("x", (100, 100), dtype)], 0, {"x": allowed})
    assert (tensor.dtype, int(tensor.min()), int(tensor.max())) == (dtype, low, high)


@pytest.mark.parametrize("shape", [(1 << 30,), (1 << 32, 1 << 32), (1 << 31, 1 << 31, 4)])
def test_inputs_too_large_are_unsupported(shape: tuple[int, ...]) -> None:
    with pytest.raises(RuntimeFailure) as raised:
        random_inputs([TensorSpec("x", shape, "float32")], 0)
    assert raised.value.outcome is Outcome.UNSUPPORTED


def test_given_inputs_come_by_name_in_the_type_of_the_model(tmp_path: Path) -> None:
    path = tmp_path / "given.npz"
    np.savez(path, ids=np.array([[3, 1]]), image=np.ones((1, 2, 3)), more=np.zeros(9))
    image, ids = given_inputs([IMAGE, TensorSpec("ids", (1, 2), "int32")], path)
    assert (image.dtype, ids.dtype, ids.tolist()) == (np.float32, np.int32, [[3, 1]])


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        (TensorSpec("mask", (1, 2), "int64"), "no array for 'mask', but for: 'ids'"),
        (
            TensorSpec("ids", (1, 3), "int64"),
            r"of shape \(1, 3\), and the given array int64 of shape \(1, 2\)",
        ),
        (TensorSpec("ids", (1, 2), "bool"), "is bool of shape"),
        (TensorSpec("ids", (1, 2), "int8"), "with numbers that do not fit"),
    ],
)
def test_given_inputs_that_do_not_fit_are_no_fault_of_the_model(
    tmp_path: Path, spec: TensorSpec, reason: str
) -> None:
    np.savez(tmp_path / "given.npz", ids=np.array([[300, 1]]))
    with pytest.raises(RuntimeFailure, match=reason) as raised:
        given_inputs([spec], tmp_path / "given.npz")
    assert raised.value.outcome is Outcome.UNSUPPORTED
    np.savez(tmp_path / "pickled.npz", ids=np.array([{}]), allow_pickle=True)
    with pytest.raises(RuntimeFailure, match="cannot be read"):
        given_inputs([spec], tmp_path / "pickled.npz")


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }\n",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1180591620717411303424,), }\n",
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }\n",
        b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n",
        b"(" * 5000,
    ],
    ids=["4 TiB", "beyond 64 bits", "negative", "objects", "nested"],
)
def test_an_array_that_lies_about_itself_is_refused(tmp_path: Path, header: bytes) -> None:
    path = tmp_path / "lies.npz"
    with zipfile.ZipFile(path, "w") as archive:
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(64)
        archive.writestr("ids.npy", content)
    with pytest.raises(ArchiveError, match="cannot be read"):
        read_archive(path)


def test_arrays_come_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, input_1=np.ones(2), input_0=np.zeros(2))
    assert [array[0] for array in load_arrays(path, "input")] == [0.0, 1.0]


def test_files_that_are_no_reference_are_refused(tmp_path: Path) -> None:
    garbage, pickled, named = (tmp_path / name for name in ("g.npz", "p.npz", "n.npz"))
    garbage.write_bytes(b"PK\x03\x04 and then nothing")
    np.savez(pickled, input_0=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(named, other=np.zeros(2))
    for path in (garbage, pickled, named, tmp_path / "absent.npz"):
        with pytest.raises(ParityFailure, match="cannot be read"):
            load_arrays(path, "input")


def test_a_reference_that_unpacks_to_too_much_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, input_0=np.zeros(100_000))
    monkeypatch.setattr(tensors, "MAX_TENSOR_BYTES", 10_000)
    with pytest.raises(ParityFailure, match="more than allowed"):
        load_arrays(path, "input")


@pytest.mark.parametrize("shape", [(4, 1, 2, 3), (4, 2, 3)])
def test_cases_may_leave_the_batch_axis_out(cases: np.ndarray, shape: tuple[int, ...]) -> None:
    found = reference_cases([IMAGE], [cases.reshape(shape)])
    np.testing.assert_array_equal(np.stack([case[0] for case in found]), cases)


@pytest.mark.parametrize(
    "arrays",
    [
        [],
        [np.zeros((4, 1, 3, 2), np.float32)],
        [np.zeros((4, 1, 2, 3), np.float64)],
        [np.zeros((0, 1, 2, 3), np.float32)],
        [np.float32(1)],
    ],
)
def test_cases_that_do_not_fit_the_model_are_refused(arrays: list) -> None:
    with pytest.raises(ParityFailure):
        reference_cases([IMAGE], [np.asarray(array) for array in arrays])


def test_agreement_is_measured_by_the_spread(cases: np.ndarray) -> None:
    inputs = [[case] for case in cases]
    assert check_parity(Doubling(), inputs, [2 * cases], REFERENCE).max_error == 0
    found = check_parity(Doubling(1.9e-3), inputs, [2 * cases], REFERENCE)
    assert found.max_error == pytest.approx(1.9e-3, rel=1e-3)
    with pytest.raises(ParityFailure, match="differ from the reference") as raised:
        check_parity(Doubling(2.1e-3), inputs, [2 * cases], REFERENCE)
    assert raised.value.result.limit == pytest.approx(2e-3)


def test_an_output_that_is_no_number_never_agrees(cases: np.ndarray) -> None:
    with pytest.raises(ParityFailure) as raised:
        check_parity(Doubling(float("nan")), [[case] for case in cases], [2 * cases], REFERENCE)
    assert raised.value.result.max_error == sys.float_info.max


@pytest.mark.parametrize(
    "expected",
    [
        lambda cases: [],
        lambda cases: [2 * cases[:2]],
        lambda cases: [cases[:, :, :1]],
        lambda cases: [np.array(1.0)],
    ],
)
def test_reference_outputs_must_fit(cases: np.ndarray, expected) -> None:
    with pytest.raises(ParityFailure):
        check_parity(Doubling(), [[case] for case in cases], expected(cases), REFERENCE)
