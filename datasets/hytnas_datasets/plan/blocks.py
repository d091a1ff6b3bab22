"""The blocks of the macro-architecture, each as layers appended to a fragment (DESIGN section 3).

References
----------
.. [S18] Sandler et al., "MobileNetV2: inverted residuals and linear bottlenecks", CVPR 2018.
.. [M22] Mehta and Rastegari, "MobileViT", ICLR 2022.
"""

from hytnas_datasets.plan.fragment import FragmentBuilder
from hytnas_datasets.plan.layers import Attributes, Shape

BATCH_NORM_EPSILON = 1e-5
LAYER_NORM_EPSILON = 1e-5


def convolution(
    builder: FragmentBuilder,
    name: str,
    source: int,
    channels: int,
    *,
    kernel: int,
    stride: int = 1,
    depthwise: bool = False,
    activation: bool = True,
    role: str,
) -> int:
    """Convolution without bias, batch norm and, if asked for, SiLU; padding keeps ``ceil(size / stride)``."""
    inputs, height, width = builder.shape(source)
    shape = (channels, -(-height // stride), -(-width // stride))
    attributes: Attributes = (
        ("bias", 0),
        ("groups", inputs if depthwise else 1),
        ("kernel", kernel),
        ("padding", kernel // 2),
        ("stride", stride),
    )
    x = builder.add("conv", f"{name}/conv", (source,), shape, attributes=attributes, role=role)
    epsilon = (("epsilon", BATCH_NORM_EPSILON),)
    x = builder.add("batch_norm", f"{name}/norm", (x,), shape, attributes=epsilon, role=role)
    return builder.add("silu", f"{name}/activation", (x,), shape, role=role) if activation else x


def inverted_residual(
    builder: FragmentBuilder, name: str, source: int, channels: int, *, stride: int, expand: int
) -> int:
    """Expand 1x1, 3x3 depth-wise, project 1x1 [S18]_; no expansion where the ratio is 1.

    The input is added where the block changes neither size nor channels.
    """
    inputs = builder.shape(source)[0]
    x = source
    if expand != 1:
        x = convolution(builder, f"{name}/expand", x, expand * inputs, kernel=1, role="expand")
    x = convolution(
        builder,
        f"{name}/depthwise",
        x,
        expand * inputs,
        kernel=3,
        stride=stride,
        depthwise=True,
        role="depthwise",
    )
    x = convolution(builder, f"{name}/project", x, channels, kernel=1, activation=False, role="project")
    if stride == 1 and inputs == channels:
        x = builder.add("add", f"{name}/residual", (source, x), builder.shape(x), role="residual")
    return x


def linear(builder: FragmentBuilder, name: str, source: int, width: int, *, role: str, bias: int = 1) -> int:
    """Fully connected layer along the last axis."""
    shape = (*builder.shape(source)[:-1], width)
    return builder.add("linear", name, (source,), shape, attributes=(("bias", bias),), role=role)


def layer_norm(builder: FragmentBuilder, name: str, source: int) -> int:
    """Layer norm along the last axis, with weight and bias."""
    epsilon = (("epsilon", LAYER_NORM_EPSILON),)
    return builder.add(
        "layer_norm", name, (source,), builder.shape(source), attributes=epsilon, role="layer_norm"
    )


def transformer_layer(
    builder: FragmentBuilder, name: str, source: int, *, heads: int, feed_forward: int
) -> int:
    """Pre-norm encoder layer: self-attention and a SiLU feed-forward network, each with a residual [M22]_."""
    shape = builder.shape(source)
    width = shape[-1]
    x = layer_norm(builder, f"{name}/attention/norm", source)
    x = linear(builder, f"{name}/attention/qkv", x, 3 * width, role="qkv")
    x = builder.add(
        "attention", f"{name}/attention/core", (x,), shape, attributes=(("heads", heads),), role="attention"
    )
    x = linear(builder, f"{name}/attention/projection", x, width, role="projection")
    attended = builder.add("add", f"{name}/attention/residual", (source, x), shape, role="residual")
    x = layer_norm(builder, f"{name}/feed_forward/norm", attended)
    x = linear(builder, f"{name}/feed_forward/expand", x, feed_forward, role="feed_forward")
    x = builder.add("silu", f"{name}/feed_forward/activation", (x,), builder.shape(x), role="feed_forward")
    x = linear(builder, f"{name}/feed_forward/project", x, width, role="feed_forward")
    return builder.add("add", f"{name}/feed_forward/residual", (attended, x), shape, role="residual")


def token_shape(map_shape: Shape, patch: int) -> Shape:
    """``(patch * patch, patches, channels)`` of the tokens of a ``(channels, height, width)`` map.

    Examples
    --------
    >>> token_shape((96, 7, 7), 2)
    (4, 16, 96)
    """
    channels, height, width = map_shape
    return (patch * patch, -(-height // patch) * -(-width // patch), channels)


def mobilevit_block(
    builder: FragmentBuilder, source: int, *, patch: int, layers: int, heads: int, feed_forward: int
) -> int:
    """Local representation, transformer over ``patch`` x ``patch`` patches, and fusion with the input [M22]_.

    A map that ``patch`` does not divide is resized up to the next multiple and back (bilinear). As in the
    reference implementation of [M22]_ a layer norm follows the last encoder layer.
    """
    channels, height, width = builder.shape(source)
    x = convolution(builder, "local/spatial", source, channels, kernel=3, role="local")
    pointwise: Attributes = (("bias", 0), ("groups", 1), ("kernel", 1), ("padding", 0), ("stride", 1))
    map_shape = (channels, height, width)
    x = builder.add("conv", "local/pointwise", (x,), map_shape, attributes=pointwise, role="local")
    rows, columns = -(-height // patch), -(-width // patch)
    padded = (channels, rows * patch, columns * patch)
    if padded != map_shape:
        x = builder.add("resize", "resize_up", (x,), padded, role="resize")
    tokens = token_shape(map_shape, patch)
    x = builder.add("unfold", "unfold", (x,), tokens, attributes=(("patch", patch),), role="unfold")
    for number in range(1, layers + 1):
        x = transformer_layer(builder, f"transformer{number}", x, heads=heads, feed_forward=feed_forward)
    x = layer_norm(builder, "norm", x)
    x = builder.add("fold", "fold", (x,), padded, attributes=(("patch", patch),), role="fold")
    if padded != map_shape:
        x = builder.add("resize", "resize_back", (x,), map_shape, role="resize")
    x = convolution(builder, "fusion/pointwise", x, channels, kernel=1, role="fusion")
    both = (2 * channels, height, width)
    x = builder.add("concat", "fusion/concat", (source, x), both, role="fusion")
    return convolution(builder, "fusion/spatial", x, channels, kernel=3, role="fusion")
