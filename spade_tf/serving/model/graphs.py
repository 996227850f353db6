"""Loads the parts of a SavedModel that a server runs, and no others.

A session goes through all functions of its graph whenever a signature is run for the first time,
which takes seconds where they hold a generator. So what is not run is left out first, and what has
no weights gets a session of its own.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.protobuf import rewriter_config_pb2, saved_model_pb2

_INIT = "__saved_model_init_op"


def read_meta_graph(version: Path) -> Any:
    """The `MetaGraphDef` of a SavedModel that is meant for servers.

    Args:
        version: its directory.

    Raises:
        OSError: if it cannot be read.
        ValueError: if it is none, or holds none for servers.
    """
    try:
        saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    except DecodeError as error:
        raise ValueError("saved_model.pb is damaged") from error
    for meta_graph in saved.meta_graphs:
        if "serve" in meta_graph.meta_info_def.tags:
            return meta_graph
    raise ValueError("saved_model.pb holds no graph for servers")


def load_parts(version: Path, meta_graph: Any, names: Iterable[str]) -> dict[str, Any]:
    """Sessions that signatures can be run in.

    Args:
        version: directory of a SavedModel.
        meta_graph: of it.
        names: of its signatures that are run.

    Returns:
        A session by the name of each signature: one with the weights, and one without, of those
        that need none.
    """
    kinds = {node.name: node.op for node in meta_graph.graph_def.node}
    weighted: list[str] = []
    plain: list[str] = []
    for name in names:
        nodes = _nodes(meta_graph.graph_def, _outputs(meta_graph, [name]))
        has_weights = any(kinds[node.name] == "VarHandleOp" for node in nodes)
        (weighted if has_weights else plain).append(name)
    sessions: dict[str, Any] = {}
    if weighted:
        sessions |= dict.fromkeys(weighted, _with_weights(version, meta_graph, weighted))
    if plain:
        graph = tf.Graph()
        with graph.as_default():
            wanted = _outputs(meta_graph, plain)
            tf.import_graph_def(_part(meta_graph.graph_def, wanted), name="")
        sessions |= dict.fromkeys(plain, tf.compat.v1.Session(graph=graph, config=_config()))
    return sessions


def _with_weights(version: Path, meta_graph: Any, names: list[str]) -> tf.compat.v1.Session:
    """Loads a SavedModel that is the one given but for the parts that nobody runs."""
    kept = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    part = kept.meta_graphs.add()
    part.meta_info_def.CopyFrom(meta_graph.meta_info_def)
    part.saver_def.CopyFrom(meta_graph.saver_def)
    part.asset_file_def.MergeFrom(meta_graph.asset_file_def)
    for key, collection in meta_graph.collection_def.items():
        part.collection_def[key].CopyFrom(collection)
    # What is run to load it, too.
    also = [meta_graph.saver_def.restore_op_name, meta_graph.saver_def.filename_tensor_name]
    also += [each.tensor_info.name for each in meta_graph.asset_file_def]
    for collection in meta_graph.collection_def.values():
        also += collection.node_list.value
    names = [*names, *([_INIT] if _INIT in meta_graph.signature_def else [])]
    for name in names:
        part.signature_def[name].CopyFrom(meta_graph.signature_def[name])
    wanted = [*_outputs(meta_graph, names), *(each.partition(":")[0] for each in also if each)]
    part.graph_def.CopyFrom(_part(meta_graph.graph_def, wanted))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "saved_model.pb").write_bytes(kept.SerializeToString())
        for name in ("variables", "assets"):
            if (version / name).exists():
                os.symlink((version / name).resolve(), Path(folder) / name)
        graph = tf.Graph()
        session = tf.compat.v1.Session(graph=graph, config=_config())
        try:
            with graph.as_default():
                tf.compat.v1.saved_model.load(session, ["serve"], folder)
        except BaseException:
            session.close()
            raise
    return session


def _outputs(meta_graph: Any, names: Iterable[str]) -> list[str]:
    """Names of the nodes that the outputs of signatures come from."""
    found = (meta_graph.signature_def[name].outputs.values() for name in names)
    return sorted({info.name.partition(":")[0] for outputs in found for info in outputs})


def _nodes(graph_def: Any, wanted: Iterable[str]) -> list[Any]:
    """The nodes that are needed for some of them, which are among them."""
    known = {node.name: node for node in graph_def.node}
    left, found = list(wanted), set()
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            inputs = known[name].input
            left += [each.removeprefix("^").partition(":")[0] for each in inputs]
    return [node for node in graph_def.node if node.name in found]


def _part(graph_def: Any, wanted: Iterable[str]) -> Any:
    """The graph of some nodes, and the functions that these call."""
    part = tf.compat.v1.GraphDef(versions=graph_def.versions)
    part.node.extend(_nodes(graph_def, wanted))
    functions = {each.signature.name: each for each in graph_def.library.function}
    left = list(part.node)
    kept: dict[str, Any] = {}
    while left:
        for name in _called(left.pop()) & functions.keys() - kept.keys():
            kept[name] = functions[name]
            left += functions[name].node_def
    part.library.function.extend(kept.values())
    return part


def _called(node: Any) -> set[str]:
    """Names of functions that a node may call."""
    names = {node.op}
    for value in node.attr.values():
        names.update(each.name for each in (value.func, *value.list.func) if each.name)
    return names


def _config() -> tf.compat.v1.ConfigProto:
    """Of a session: what does nothing for these graphs, and takes seconds, is left out.

    Graphs are rewritten once in place of twice, and not for devices that are not there. Outputs
    stay the same, bit by bit.
    """
    config = tf.compat.v1.ConfigProto()
    options = config.graph_options.rewrite_options
    options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    options.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    options.loop_optimization = rewriter_config_pb2.RewriterConfig.OFF
    options.shape_optimization = rewriter_config_pb2.RewriterConfig.OFF
    options.implementation_selector = rewriter_config_pb2.RewriterConfig.OFF
    if not tf.config.list_physical_devices("GPU"):
        options.layout_optimizer = rewriter_config_pb2.RewriterConfig.OFF
    return config
