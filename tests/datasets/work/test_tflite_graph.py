"""The work of TFLite graphs of one or a few operators; whole exports are in tests/system/tflite."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hytnas_datasets.errors import ModelGraphError
from hytnas_datasets.work import OperatorWork, work_of_tflite

from ...agent.runtimes.tflite_files import INT8, Call, Writer, custom, linear, relu, weight_only

X = 6 * 6 * 8
MAP = (1, 6, 6, 8)
RELU6, TANH = 3, 4


@pytest.fixture
def work_of(tmp_path):
    def read(content):
        path = tmp_path / "model.tflite"
        path.write_bytes(content)
        return work_of_tflite(path)

    return read


def one(operator, weights, output, options=None, options_type=0):
    """A file of one operator of a map, and of weights where there are some."""
    writer = Writer()
    inputs = [writer.tensor("x", MAP)]
    if weights is not None:
        inputs.append(writer.tensor("w", weights, data=np.ones(weights, np.float32).tobytes()))
    outputs = [writer.tensor("y", output)]
    return writer.finish([Call(operator, inputs, outputs, options or {}, options_type)])


CONV_2D, DEPTHWISE, AVERAGE_POOL, MAX_POOL = (3, 1), (4, 2), (1, 5), (17, 5)
SOFTMAX, MEAN, TRANSPOSE, HARD_SWISH, CONCATENATION, RESIZE = 25, 40, 39, 117, 2, 23


@pytest.mark.parametrize(
    ("operator", "weights", "output", "expected"),
    [
        (CONV_2D[0], (16, 3, 3, 8), (1, 4, 4, 16), OperatorWork("spatial", 18432, X, 256, 1152)),
        (CONV_2D[0], (16, 1, 1, 8), (1, 6, 6, 16), OperatorWork("pointwise", 4608, X, 576, 128)),
        (CONV_2D[0], (16, 3, 3, 4), (1, 4, 4, 16), OperatorWork("grouped", 9216, X, 256, 576)),
        (DEPTHWISE[0], (1, 3, 3, 8), (1, 4, 4, 8), OperatorWork("depthwise", 1152, X, 128, 72)),
        (SOFTMAX, None, MAP, OperatorWork("softmax", read=X, written=X, rows=36)),
        (MEAN, None, (1, 8), OperatorWork("global_pool", read=X, written=8)),
        (AVERAGE_POOL[0], None, (1, 1, 1, 8), OperatorWork("global_pool", read=X, written=8)),
        (TRANSPOSE, None, (1, 8, 6, 6), OperatorWork("rearrange", read=X, written=X)),
        (HARD_SWISH, None, MAP, OperatorWork("activation", read=X, written=X)),
        (CONCATENATION, None, MAP, OperatorWork("concat", read=X, written=X)),
        (RESIZE, None, (1, 12, 12, 8), OperatorWork("resize", read=X, written=4 * X)),
    ],
)
def test_one_node_is_one_operator(work_of, operator, weights, output, expected):
    assert [node.work for node in work_of(one(operator, weights, output)).nodes] == [expected]


@pytest.mark.parametrize(("fused", "kind"), [(0, None), (RELU6, "relu"), (TANH, "activation")])
def test_a_fused_activation_counts(work_of, fused, kind):
    content = one(CONV_2D[0], (8, 1, 1, 8), MAP, {3: ("int8", fused)}, CONV_2D[1])
    works = [node.work for node in work_of(content).nodes]
    assert works[0].kind == "pointwise"
    assert [(work.kind, work.written) for work in works[1:]] == ([(kind, X)] if kind else [])


def test_a_window_is_read_from_the_options(work_of):
    content = one(MAX_POOL[0], None, (1, 4, 4, 8), {3: ("int32", 3), 4: ("int32", 3)}, MAX_POOL[1])
    (node,) = work_of(content).nodes
    assert node.work == OperatorWork("window_pool", read=X, written=128, window=1152)


@pytest.mark.parametrize("write", [linear, lambda w: weight_only(w, scale=0.1)])
def test_quantised_weights_do_the_work_of_floats(work_of, write):
    weights = np.arange(12, dtype=np.int8).reshape(3, 4)
    works = [node.work for node in work_of(write(weights)).nodes]
    assert works == [OperatorWork("linear", 12, 4, 3, 12)]
    assert [node.work.kind for node in work_of(relu(kind=INT8)).nodes] == ["relu"]


def test_padding_belongs_to_the_convolution_that_reads_it(work_of):
    writer = Writer()
    x, padded, y = (writer.tensor(n, s) for n, s in (("x", MAP), ("p", (1, 8, 8, 8)), ("y", MAP)))
    pads = writer.tensor("pads", (4, 2), 2, data=np.zeros((4, 2), np.int32).tobytes())
    w = writer.tensor("w", (1, 3, 3, 8), data=np.ones((1, 3, 3, 8), np.float32).tobytes())
    content = writer.finish([Call(34, [x, pads], [padded]), Call(DEPTHWISE[0], [padded, w], [y])])
    assert [node.work for node in work_of(content).nodes] == [OperatorWork("depthwise", 2592, X, X, 72)]


def test_a_layer_norm_as_litert_torch_writes_it_is_one(work_of):
    writer = Writer()
    rows, one_each = (1, 5, 8), (1, 5, 1)
    shapes = dict.fromkeys(("x", "square", "scaled", "y"), rows) | dict.fromkeys(
        ("mean", "variance", "shifted", "root", "product", "minus"), one_each
    )
    t = {name: writer.tensor(name, shape) for name, shape in shapes.items()}
    for name in ("axis", "epsilon", "zero"):
        t[name] = writer.tensor(name, (), data=bytes(4))
    steps = [(40, "x axis", "mean"), (99, "x mean", "square"), (40, "square axis", "variance"),
             (0, "variance epsilon", "shifted"), (76, "shifted", "root"), (18, "root mean", "product"),
             (41, "zero product", "minus"), (18, "x root", "scaled"), (0, "scaled minus", "y")]  # fmt: skip
    calls = [Call(code, [t[name] for name in inputs.split()], [t[output]]) for code, inputs, output in steps]
    (node,) = work_of(writer.finish(calls)).nodes
    assert (node.name, node.operator) == ("y", "ADD")
    assert (node.work.kind, node.work.written, node.work.rows) == ("layer_norm", 40, 5)


def test_operators_that_no_kind_stands_for_are_named(work_of):
    assert [node.operator for node in work_of(custom("Abacus")).unknown] == ["Abacus"]
    assert [node.operator for node in work_of(one(13, None, MAP)).unknown] == ["LOCAL_RESPONSE_NORMALIZATION"]
    assert [node.operator for node in work_of(one(120, None, MAP)).unknown] == ["operator 120"]


def test_a_free_batch_is_one_and_other_free_axes_are_refused(work_of):
    assert work_of(relu(signature=(-1, 4))).nodes[0].work.written == 4
    with pytest.raises(ModelGraphError, match="axis of the input 'x' has no fixed size"):
        work_of(relu(signature=(1, -1)))


@pytest.mark.parametrize("keep", [3, 60, 120])
def test_a_damaged_file_is_refused(work_of, keep):
    with pytest.raises(ModelGraphError, match=r"damaged|too short"):
        work_of(one(CONV_2D[0], (8, 1, 1, 8), MAP, {3: ("int8", 1)}, CONV_2D[1])[:keep])


@given(st.dictionaries(st.integers(0, 2000), st.integers(0, 255), min_size=1, max_size=4))
def test_no_damage_escapes_the_reader(tmp_path_factory, changes):
    content = bytearray(one(CONV_2D[0], (8, 1, 1, 8), MAP, {3: ("int8", 1)}, CONV_2D[1]))
    for position, value in changes.items():
        content[position % len(content)] = value
    path = tmp_path_factory.getbasetemp() / "changed.tflite"
    path.write_bytes(content)
    with contextlib.suppress(ModelGraphError):
        assert all(node.work.macs >= 0 for node in work_of_tflite(path).nodes)


def test_weights_of_the_wrong_rank_are_refused(work_of):
    with pytest.raises(ModelGraphError, match=r"'y'.* do not fit"):
        work_of(one(CONV_2D[0], (8, 8), MAP))
