"""Tidy an exported graph: what the tracing exporter leaves behind and no runtime should have to clean up."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import helper, numpy_helper

from hytnas_datasets.plan import LayerPlan


def tidy(model: onnx.ModelProto, plan: LayerPlan) -> onnx.ModelProto:
    """A clean, static graph with the same outputs.

    Constants become initializers, Identity nodes (shared weights) go, resizing takes its size from the plan
    instead of computing it, nodes that nothing reads go, and every value gets its shape.
    """
    graph = model.graph
    _constants_to_initializers(graph)
    _fix_resize_sizes(graph, plan)
    _bypass_identities(graph)
    _remove_unread(graph)
    for node in graph.node:
        node.ClearField("doc_string")
    for entry in graph.value_info:
        entry.ClearField("doc_string")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    inferred.ClearField("metadata_props")
    return inferred


def _constants_to_initializers(graph: onnx.GraphProto) -> None:
    kept = []
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensor = graph.initializer.add()
            tensor.CopyFrom(node.attribute[0].t)
            tensor.name = node.output[0]
        else:
            kept.append(node)
    _set_nodes(graph, kept)


def _fix_resize_sizes(graph: onnx.GraphProto, plan: LayerPlan) -> None:
    shapes = {f"/{layer.name}/Resize": layer.shape for layer in plan.layers if layer.kind == "resize"}
    for node in graph.node:
        if node.name not in shapes:
            continue
        sizes = numpy_helper.from_array(np.array((1, *shapes[node.name]), np.int64), f"{node.name}_sizes")
        graph.initializer.append(sizes)
        node.input[3] = sizes.name


def _bypass_identities(graph: onnx.GraphProto) -> None:
    outputs = {value.name for value in graph.output}
    sources: dict[str, str] = {}
    kept = []
    for node in graph.node:
        _rename_inputs(node, sources)
        if node.op_type == "Identity" and node.output[0] not in outputs:
            sources[node.output[0]] = node.input[0]
        else:
            kept.append(node)
    _set_nodes(graph, kept)


def _rename_inputs(node: onnx.NodeProto, names: Mapping[str, str]) -> None:
    for position, name in enumerate(node.input):
        if name in names:
            node.input[position] = names[name]


def _remove_unread(graph: onnx.GraphProto) -> None:
    read = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            read.update(node.input)
            kept.append(node)
    _set_nodes(graph, kept[::-1])
    initializers = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(initializers)
    values = [value for value in graph.value_info if value.name in read]
    del graph.value_info[:]
    graph.value_info.extend(values)


def _set_nodes(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    copies = [helper.make_node("Identity", [], []) for _ in nodes]
    for copy, node in zip(copies, nodes, strict=True):
        copy.CopyFrom(node)
    del graph.node[:]
    graph.node.extend(copies)
