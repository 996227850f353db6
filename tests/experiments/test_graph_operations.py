"""Graphs have the operations that they had before; see tests/goldens/graphs/README.md."""

import importlib.util
import json
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
GOLDEN = json.loads((TESTS / "goldens" / "graphs" / "operations.json").read_text())


@pytest.fixture(scope="module")
def proof():
    path = TESTS / "proofs" / "graph_operations.py"
    spec = importlib.util.spec_from_file_location("graph_operations", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if module.versions() != GOLDEN["versions"]:
        pytest.skip(f"counted with {GOLDEN['versions']}, others build graphs of other operations")
    return module


@pytest.mark.slow
def test_graphs_that_are_made_quickly(proof):
    counts = proof.PARTS["train_landscapes_1"]() | proof.PARTS["fused_float32"]()
    assert len(counts) == 2
    assert counts == {name: GOLDEN["counts"][name] for name in counts}


@pytest.mark.slow
def test_all_graphs(proof):
    counts = {}
    for part in proof.PARTS.values():
        counts |= part()
    assert counts == GOLDEN["counts"]


def test_bodies_of_functions_count_at_every_call(proof):
    import tensorflow as tf

    @tf.function(autograph=False)
    def twice(x):
        return tf.nn.relu(x) + tf.nn.relu(-x)

    @tf.function(autograph=False)
    def call(x):
        return tf.cond(x[0] > 0, lambda: twice(twice(x)), lambda: tf.tanh(x))

    graph = call.get_concrete_function(tf.TensorSpec([2])).graph
    counts = proof.count_graph(graph.as_graph_def())
    assert {name: counts[name] for name in ("Relu", "Neg", "AddV2", "Tanh")} == {
        "Relu": 4,
        "Neg": 2,
        "AddV2": 2,
        "Tanh": 1,
    }
