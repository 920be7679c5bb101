"""Rewrites an OpenVINO graph so that it computes the same numbers in less time on a CPU in float32.

Measured there only, see benchmarks/README.md: graphs for 16 bits are left as they are.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_AREA = [2, 3]
"""Axes of (N, C, h, w)."""


def rewrite(model: Any) -> None:
    """Changes the openvino.Model in place; results differ by the order of sums."""
    for node in model.get_ordered_ops():
        if node.get_type_name() == "GroupNormalization":
            _norm_in_any_layout(node)
        elif node.get_type_name() == "Convolution":
            _join_upsampling(node)


def _norm_in_any_layout(node: Any) -> None:
    """Of (N, C, h, w), by sums over each channel. The plugin's own norm takes groups of channels as
    rows of memory: the tensor is copied to that layout for it, and back for the next convolution.
    """
    x, scale, bias = node.input_values()
    rank, channels = x.get_partial_shape().rank, scale.get_partial_shape()
    if channels.is_dynamic or rank.is_dynamic or rank.get_length() != 4:
        return
    ov = importlib.import_module("openvino.opset15")
    count, epsilon = node.get_attributes()["num_groups"], node.get_attributes()["epsilon"]
    each = channels[0].get_length() // count
    by_group, by_channel = np.array([0, count, each]), np.array([0, count * each, 1, 1])

    def group_mean(values: Any) -> Any:  # (N, G, 1)
        of_channels = ov.reshape(ov.reduce_mean(values, _AREA, False), by_group, True)
        return ov.reduce_mean(of_channels, [2], True)

    def spread(of_groups: Any) -> Any:  # (N, C, 1, 1)
        ones = np.ones((1, 1, each), np.float32)
        return ov.reshape(ov.multiply(of_groups, ones), by_channel, True)

    mean = group_mean(x)
    difference = ov.subtract(x, spread(mean))
    variance = group_mean(ov.multiply(difference, difference))
    deviation = ov.sqrt(ov.add(variance, np.float32(epsilon)))
    factor = ov.divide(ov.reshape(scale, [1, count, each], False), deviation)
    shift = ov.subtract(ov.reshape(bias, [1, count, each], False), ov.multiply(mean, factor))
    factor, shift = (ov.reshape(one, by_channel, True) for one in (factor, shift))
    _replace(node, ov.add(ov.multiply(x, factor), shift))


def _join_upsampling(node: Any) -> None:
    """Enlarging to twice the size, each pixel four times, and a 3 x 3 convolution after it are one
    transposed convolution: 4 products for each pixel and channel instead of 9."""
    enlarge, weights = (value.get_node() for value in node.input_values())
    if not (_doubles(enlarge) and _is_3x3(node, weights)):
        return
    ov = importlib.import_module("openvino.opset15")
    joined = ov.convolution_backprop_data(
        enlarge.input_value(0),
        ov.constant(doubling_kernel(weights.get_data())),
        strides=[2, 2],
        pads_begin=[1, 1],
        pads_end=[1, 1],
        dilations=[1, 1],
    )
    _replace(node, joined)


def _doubles(node: Any) -> bool:
    if node.get_type_name() != "Interpolate":
        return False
    attributes, given = node.get_attributes(), node.input_values()[1:]
    constants = [one.get_node() for one in given]
    return (
        (attributes["mode"], attributes["shape_calculation_mode"]) == ("nearest", "scales")
        and attributes["coordinate_transformation_mode"] == "asymmetric"
        and attributes["nearest_mode"] == "floor"
        and not any((*attributes["pads_begin"], *attributes["pads_end"]))
        and [one.get_type_name() for one in constants] == ["Constant", "Constant"]
        and [one.get_data().tolist() for one in constants] == [[2, 2], _AREA]
    )


def _is_3x3(node: Any, weights: Any) -> bool:
    """Whether it keeps the size, and its weights are known."""
    attributes = node.get_attributes()
    ones = ("strides", "dilations", "pads_begin", "pads_end")
    return (
        weights.get_type_name() == "Constant"
        and list(weights.get_output_shape(0))[2:] == [3, 3]
        and all(list(attributes[name]) == [1, 1] for name in ones)
        and attributes["auto_pad"] == "explicit"
    )


def doubling_kernel(weights: Floats) -> Floats:
    """(out, in, 3, 3) of the convolution -> (in, out, 4, 4) of the transposed one."""
    flipped = weights[:, :, ::-1, ::-1].astype(np.float64)
    kernel = np.zeros((*weights.shape[:2], 4, 4))
    for y in (0, 1):
        for x in (0, 1):
            kernel[:, :, y : y + 3, x : x + 3] += flipped
    return np.ascontiguousarray(kernel.swapaxes(0, 1), np.float32)


def _replace(node: Any, by: Any) -> None:
    by.set_friendly_name(node.get_friendly_name())
    for taker in node.output(0).get_target_inputs():
        taker.replace_source_output(by.output(0))
