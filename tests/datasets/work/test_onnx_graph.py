"""The work of ONNX graphs: what runtimes fold is not charged, and our exports do what their plans say."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from onnxruntime import quantization

from hytnas_datasets.errors import ModelGraphError
from hytnas_datasets.plan import Task, build_plan
from hytnas_datasets.spaces import get_space
from hytnas_datasets.spaces.registry import SPACES
from hytnas_datasets.work import WORK_COLUMNS, WORK_KINDS, OperatorWork, work_of
from hytnas_datasets.work.onnx_graph import work_of_onnx
from hytnas_host.export.onnx_export import convert_onnx
from hytnas_host.models import build_network

MAP = (1, 8, 6, 6)


def model_of(nodes, inputs=None, outputs=("y",), opset=17, **constants):
    """A model of ``(operator, inputs, outputs, attributes)``, from x to y unless said otherwise."""
    made = [
        helper.make_node(operator, ins.split(), outs.split(), name=f"{operator}_{i}", **attributes)
        for i, (operator, ins, outs, attributes) in enumerate(nodes)
    ]
    graph = helper.make_graph(
        made,
        "g",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in (inputs or {"x": MAP}).items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def works(*arguments, **constants):
    return [node.work for node in work_of_onnx(model_of(*arguments, **constants)).nodes]


def kinds(*arguments, **constants):
    return [work.kind for work in works(*arguments, **constants)]


def ones(*shape):
    return np.ones(shape, np.float32)


X = 8 * 6 * 6


@pytest.mark.parametrize(
    ("operator", "attributes", "weights", "expected"),
    [
        ("Conv", {}, (16, 8, 3, 3), OperatorWork("spatial", 18432, X, 256, 1152)),
        ("Conv", {"strides": [2, 2]}, (16, 8, 1, 1), OperatorWork("pointwise", 1152, X, 144, 128)),
        ("Conv", {"group": 8}, (8, 1, 3, 3), OperatorWork("depthwise", 1152, X, 128, 72)),
        ("Conv", {"group": 2}, (8, 4, 3, 3), OperatorWork("grouped", 4608, X, 128, 288)),
        ("ConvTranspose", {"strides": [2, 2]}, (8, 4, 2, 2), OperatorWork("spatial", 4608, X, 576, 128)),
        ("MatMul", {}, (6, 5), OperatorWork("linear", 1440, X, 240, 30)),
        ("Einsum", {"equation": "bchw,wd->bchd"}, (6, 5), OperatorWork("linear", 1440, X, 240, 30)),
        ("LayerNormalization", {}, (6,), OperatorWork("layer_norm", read=X, written=X, rows=48)),
        ("Add", {}, (8, 6, 6), OperatorWork("elementwise", read=X, written=X)),
        ("Softmax", {}, None, OperatorWork("softmax", read=X, written=X, rows=48)),
        ("GlobalAveragePool", {}, None, OperatorWork("global_pool", read=X, written=8)),
        ("ReduceMean", {"axes": [2, 3]}, None, OperatorWork("global_pool", read=X, written=8)),
        ("AveragePool", {"kernel_shape": [6, 6]}, None, OperatorWork("global_pool", read=X, written=8)),
        ("MaxPool", {"kernel_shape": [3, 3]}, None, OperatorWork("window_pool", 0, X, 128, window=1152)),
        ("Transpose", {"perm": [0, 2, 3, 1]}, None, OperatorWork("rearrange", read=X, written=X)),
        ("Relu", {}, None, OperatorWork("relu", read=X, written=X)),
        ("Tanh", {}, None, OperatorWork("activation", read=X, written=X)),
        ("HardSwish", {}, None, OperatorWork("activation", read=X, written=X)),
    ],
)
def test_one_node_is_one_operator(operator, attributes, weights, expected):
    node = (operator, "x w" if weights else "x", "y", attributes)
    assert works([node], w=ones(*(weights or (1,)))) == [expected]


@pytest.mark.parametrize(
    ("operator", "inputs", "attributes", "expected"),
    [
        ("MatMul", "x x", {}, OperatorWork("matmul", 1728, 2 * X, X)),
        ("Concat", "x x", {"axis": 1}, OperatorWork("concat", read=2 * X, written=2 * X)),
        ("Add", "x x", {}, OperatorWork("elementwise", read=2 * X, written=X)),
        ("Sum", "x x x", {}, OperatorWork("elementwise", read=3 * X, written=2 * X, count=2)),
    ],
)
def test_operators_of_several_tensors(operator, inputs, attributes, expected):
    assert works([(operator, inputs, "y", attributes)]) == [expected]


def chain(*steps):
    """Nodes as ``Operator inputs > output``."""
    split = (step.replace(">", "").split() for step in steps)
    return [(operator, " ".join(inputs), output, {}) for operator, *inputs, output in split]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (["Sigmoid x > s", "Mul x s > y"], "silu"),
        (["HardSigmoid x > s", "Mul s x > y"], "activation"),
        (["Add x one > a", "Clip a > c", "Mul x c > m", "Div m one > y"], "activation"),
        (["Div x one > d", "Erf d > e", "Add e one > a", "Mul x a > m", "Mul m one > y"], "activation"),
        (["Sigmoid x > s", "Mul x s > m", "Add m s > y"], "activation elementwise elementwise"),
        (["GlobalAveragePool x > g", "Sigmoid g > s", "Mul x s > y"], "global_pool activation elementwise"),
        (["Conv x k > c", "BatchNormalization c v v v v > y"], "pointwise"),
        (["Conv x k > c", "Mul c channels > m", "Add m channels > y"], "pointwise"),
        (["Relu x > r", "BatchNormalization r v v v v > y"], "relu batch_norm"),
        (["Relu x > r", "Mul r channels > y"], "relu elementwise"),
        (["MatMul x matrix > p", "Add p row > y"], "linear"),
        (["Transpose matrix > t", "MatMul x t > y"], "linear"),
        (["Max x one > y"], "relu"),
        (["Max x x > y"], "elementwise"),
        (["Sum x > s", "Relu s > y"], "activation relu"),
        (["Pow x two > y"], "activation"),
        (["Shape x > s", "Reshape x s > r", "Identity r > y"], ""),
        (["Relu x > unread", "Tanh x > y"], "activation"),
    ],
)
def test_what_runtimes_fold_and_fuse_is_not_charged(steps, expected):
    constants = {
        "k": ones(8, 8, 1, 1), "v": ones(8), "channels": ones(8, 1, 1), "matrix": ones(6, 6), "row": ones(6),
        "one": ones(1), "two": np.float32(2),
    }  # fmt: skip
    assert kinds(chain(*steps), **constants) == expected.split()


def test_a_split_is_one_copy_of_all_its_outputs():
    found = works([("Split", "x", "y z", {"axis": 1})], {"x": MAP}, ("y", "z"))
    assert found == [OperatorWork("rearrange", read=288, written=288)]


def test_a_layer_norm_in_parts_is_one():
    parts = [
        ("ReduceMean", "x", "mean", {"axes": [-1]}), ("Sub", "x mean", "c", {}), ("Pow", "c two", "p", {}),
        ("ReduceMean", "p", "v", {"axes": [-1]}), ("Add", "v eps", "e", {}), ("Sqrt", "e", "s", {}),
        ("Div", "c s", "n", {}), ("Mul", "n gamma", "g", {}), ("Add", "g gamma", "y", {}),
    ]  # fmt: skip
    (work,) = works(parts, two=np.float32(2), eps=np.float32(1e-5), gamma=ones(6))
    assert (work.kind, work.written, work.rows) == ("layer_norm", 288, 48)


def test_operators_that_no_kind_stands_for_are_named():
    model = model_of([("Relu", "x", "r", {}), ("LRN", "r", "y", {"size": 3})])
    work = work_of_onnx(model)
    assert [(node.name, node.operator) for node in work.nodes] == [("Relu_0", "Relu")]
    assert [(node.name, node.operator) for node in work.unknown] == [("LRN_1", "LRN")]


def test_a_free_batch_is_one_and_other_free_axes_are_refused():
    free_batch = model_of([("Relu", "x", "y", {})], {"x": ("batch", 8, 6, 6)})
    assert work_of_onnx(free_batch).nodes[0].work.written == 288
    with pytest.raises(ModelGraphError, match=r"axis 2 of the input 'x' .*fixed sizes"):
        work_of_onnx(model_of([("Relu", "x", "y", {})], {"x": (1, 8, "height", 6)}))


def test_a_shape_that_does_not_follow_is_said():
    unknown = helper.make_node("Abacus", ["x"], ["a"], domain="elsewhere")
    model = model_of([("Relu", "a", "y", {})])
    model.graph.node.insert(0, unknown)
    model.opset_import.append(helper.make_opsetid("elsewhere", 1))
    with pytest.raises(ModelGraphError, match=r"the shape of the tensor '[ay]' does not follow"):
        work_of_onnx(model)


def test_weights_of_the_wrong_rank_are_refused():
    with pytest.raises(ModelGraphError, match=r"'Einsum_0' .*do not fit it"):
        works([("Einsum", "x w", "y", {"equation": "bchw,wd->bchd"})], w=ones(6))


def test_the_model_is_not_changed():
    model = model_of([("QuantizeLinear", "x s z", "q", {}), ("DequantizeLinear", "q s z", "y", {})],
                     s=np.float32(1), z=np.uint8(0))  # fmt: skip
    before = model.SerializeToString()
    assert work_of_onnx(model).nodes == ()
    assert model.SerializeToString() == before


@pytest.fixture(scope="module")
def float_model(tmp_path_factory):
    """A convolution, a residual and a classifier, saved to a file."""
    rng = np.random.default_rng(0)
    weights = {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in {"k": (8, 8, 3, 3), "b": (8,), "m": (8, 5), "d": (5,)}.items()
    }
    nodes = [
        ("Conv", "x k b", "c", {"pads": [1, 1, 1, 1]}), ("Add", "c x", "a", {}),
        ("GlobalAveragePool", "a", "g", {}), ("Flatten", "g", "f", {}), ("Gemm", "f m d", "y", {}),
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("float") / "model.onnx"
    onnx.save(model_of(nodes, **weights), path)
    return path


class Images(quantization.CalibrationDataReader):
    def __init__(self):
        self._left = [{"x": np.random.default_rng(1).normal(size=MAP).astype(np.float32)}]

    def get_next(self):
        return self._left.pop() if self._left else None


@pytest.mark.parametrize("form", [quantization.QuantFormat.QDQ, quantization.QuantFormat.QOperator])
def test_a_quantised_graph_does_what_the_float_graph_does(float_model, tmp_path, form):
    path = tmp_path / "int8.onnx"
    quantization.quantize_static(float_model, path, Images(), quant_format=form)
    quantised, plain = work_of_onnx(onnx.load(path)), work_of_onnx(onnx.load(float_model))
    assert not quantised.unknown
    assert dict(zip(WORK_COLUMNS, quantised.columns, strict=True)) == dict(
        zip(WORK_COLUMNS, plain.columns, strict=True)
    )


def test_dynamic_quantisation_changes_no_work(float_model, tmp_path):
    path = tmp_path / "dynamic.onnx"
    quantization.quantize_dynamic(float_model, path)
    np.testing.assert_array_equal(
        work_of_onnx(onnx.load(path)).columns, work_of_onnx(onnx.load(float_model)).columns
    )


@pytest.fixture(scope="module")
def exports():
    """Plans and ONNX models of networks of every bundled space; the patches do not divide some maps."""
    rng = np.random.default_rng(0)
    made = []
    for name in SPACES.bundled:
        for architecture in get_space(name).sample(1, rng):
            plan = build_plan(architecture, Task(resolution=56))
            network = build_network(plan, rng=rng).eval()
            made.append((plan, onnx.load_model_from_string(convert_onnx(network, plan).content)))
    return made


def test_the_work_of_our_exports_is_that_of_their_plans(exports):
    seen = set()
    for plan, model in exports:
        work = work_of_onnx(model)
        assert not work.unknown
        seen.update(node.work.kind for node in work.nodes)
        expected = dict(zip(WORK_COLUMNS, work_of(plan.layers), strict=True))
        assert dict(zip(WORK_COLUMNS, work.columns, strict=True)) == expected
    never = {"grouped", "batch_norm", "relu", "activation", "window_pool"}
    assert seen == set(WORK_KINDS) - never
