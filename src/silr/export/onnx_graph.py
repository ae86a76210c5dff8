"""A graph of ONNX operators, written down one node after another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

OPSETS = {"": 20, "ai.onnx.ml": 2, "com.microsoft": 1}  # operators by domain; the last one's are onnxruntime's own
IR_VERSION = 10
STRINGS = np.dtype(object)


class Graph:
    """Nodes, constants, inputs and outputs that come together; values are known by their names."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.inputs: list[Any] = []
        self.outputs: list[Any] = []

    def add(self, op: str, *inputs: str | NDArray[Any], domain: str = "", **attributes: Any) -> str:
        """One more node; arrays among its inputs become constants. Returns the name of its output."""
        from onnx import helper

        names = [value if isinstance(value, str) else self.constant(value) for value in inputs]
        output = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, names, [output], name=output, domain=domain, **attributes))
        return output

    def constant(self, value: NDArray[Any]) -> str:
        """An array of numbers, or of strings where its type is object."""
        from onnx import TensorProto, helper, numpy_helper

        name = f"constant_{len(self.constants)}"
        if value.dtype == STRINGS:
            encoded: Any = [str(text).encode() for text in value.ravel()]
            self.constants.append(helper.make_tensor(name, TensorProto.STRING, value.shape, encoded))
        else:
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def input(self, name: str, kind: Any, shape: list[str | int]) -> str:
        """An input of a type of numbers, or of strings (`STRINGS`); sizes that vary have names."""
        self.inputs.append(_value(name, kind, shape))
        return name

    def output(self, value: str, name: str, kind: Any, shape: list[str | int]) -> None:
        """Give a value the name of an output."""
        from onnx import helper

        self.nodes.append(helper.make_node("Identity", [value], [name], name=name))
        self.outputs.append(_value(name, kind, shape))

    def model(self) -> Any:
        """The whole as a `ModelProto`."""
        from onnx import helper

        graph = helper.make_graph(self.nodes, "silr", self.inputs, self.outputs, self.constants)
        opsets = [helper.make_opsetid(domain, version) for domain, version in OPSETS.items()]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="silr")

    # What is needed often

    def cast(self, value: str, kind: Any) -> str:
        """Numbers of another type."""
        from onnx import helper

        return self.add("Cast", value, to=helper.np_dtype_to_tensor_dtype(np.dtype(kind)))

    def flat(self, value: str) -> str:
        """All elements in one dimension."""
        return self.add("Reshape", value, ints(-1))

    def where(self, mask: str) -> str:
        """Positions, shape (m,), at which a flat mask is true."""
        return self.flat(self.add("NonZero", mask))

    def size(self, value: str) -> str:
        """The number of elements, shape (1,)."""
        return self.add("Reshape", self.add("Size", value), ints(1))

    def part(self, value: str, start: int, end: int | None = None) -> str:
        """Elements of a flat value from `start` to before `end`; negative ones count from the end."""
        return self.add("Slice", value, ints(start), ints(np.iinfo(np.int64).max if end is None else end))

    def joined(self, *parts: str | NDArray[Any]) -> str:
        """Flat values one after another."""
        return self.add("Concat", *parts, axis=0)

    def zeros(self, shape: str, kind: Any) -> str:
        """Zeros of a shape that is a value."""
        from onnx import numpy_helper

        return self.add("ConstantOfShape", shape, value=numpy_helper.from_array(np.zeros(1, kind)))

    def range(self, size: str) -> str:
        """0, 1, ... to before a size of shape (1,)."""
        end = self.add("Squeeze", size)
        return self.add("Range", np.array(0), end, np.array(1))

    def look_up(self, value: str, keys: Any, numbers: Any, default: int) -> str:
        """The number of each key, or of each string; `default` where it is none."""
        keys = list(keys)
        kind = "keys_strings" if keys and isinstance(keys[0], str) else "keys_int64s"
        table = {kind: keys, "values_int64s": [int(number) for number in numbers], "default_int64": default}
        return self.add("LabelEncoder", value, domain="ai.onnx.ml", **table)


def ints(*values: int) -> NDArray[np.int64]:
    """A constant of whole numbers, one-dimensional."""
    return np.array(values, np.int64)


def scalar(value: ArrayLike, kind: Any) -> NDArray[Any]:
    """A constant without dimension."""
    return np.array(value, kind)


def _value(name: str, kind: Any, shape: list[str | int]) -> Any:
    from onnx import TensorProto, helper

    is_text = np.dtype(kind) == STRINGS
    number = TensorProto.STRING if is_text else helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    return helper.make_tensor_value_info(name, number, shape)
