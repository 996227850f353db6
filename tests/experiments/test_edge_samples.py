"""The samples of docs/EDGE.md make the same inputs from a label map as Python."""

import json
import os
import re
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.commands.export.litert import describe_labels
from pipelines.schema import LabelFiles, LabelSet, default_palette
from pipelines.sources.label_files import read_label
from spade_tf.layers.semantics import Semantics

DOCS = Path(__file__).parents[2] / "docs"
SAMPLE = Path(__file__).parents[2].parent / "shared" / "data" / "coco_stuff_sample"
SAMPLES = {
    "label_map.js": "js",
    "generator.js": "js",
    "LabelMap.kt": "kotlin",
    "Generator.kt": "kotlin",
    "label_map.h": "cpp",
    "generator.cc": "cpp",
}
# Reads a case from its arguments or from standard input; writes float32, or the sentence of an
# error to standard error, and then ends with 3.
JAVASCRIPT = """
import {readFileSync} from 'node:fs';
import {labelInputs} from './label_map.js';
const {facts, values, instance} = JSON.parse(readFileSync(0, 'utf8'));
try {
  const inputs = labelInputs(facts, values, instance);
  const arrays = facts.inputs.map(({name}) => Buffer.from(inputs[name].buffer));
  process.stdout.write(Buffer.concat(arrays));
} catch (error) {
  if (!(error instanceof RangeError)) throw error;
  console.error(error.message);
  process.exitCode = 3;
}
"""
CPP = """
#include <cstdio>
#include <iostream>
#include "label_map.h"
std::vector<int> Read() {
  int size = 0;
  std::fread(&size, 4, 1, stdin);
  std::vector<int> numbers(size);
  std::fread(numbers.data(), 4, numbers.size(), stdin);
  return numbers;
}
int main() {
  const auto head = Read();
  const LabelMap map{head[0], Read(), head[1], head[2]};
  const auto values = Read();
  const auto instance = Read();
  try {
    const auto semantics = ToSemantics(values, instance, map, head[3], head[4], head[5]);
    std::fwrite(semantics.data(), 4, semantics.size(), stdout);
  } catch (const std::logic_error& error) {
    std::cerr << error.what();
    return 3;
  }
}
"""
KOTLIN = """
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.system.exitProcess
fun main() {
    val input = ByteBuffer.wrap(System.`in`.readBytes()).order(ByteOrder.LITTLE_ENDIAN)
    fun read() = IntArray(input.getInt()) { input.getInt() }
    val head = read()
    val map = LabelMap(head[0], read(), head[1], head[2])
    val values = read()
    val instance = read().takeIf { it.isNotEmpty() }
    try {
        val semantics = map.toSemantics(values, instance, head[3], head[4], head[5])
        val output = ByteBuffer.allocate(4 * semantics.size).order(ByteOrder.LITTLE_ENDIAN)
        semantics.forEach { output.putFloat(it) }
        System.out.write(output.array())
        System.out.flush()
    } catch (error: IllegalArgumentException) {
        System.err.print(error.message)
        exitProcess(3)
    }
}
"""


class Case:
    """A label map file, and the model inputs made from it."""

    def __init__(self, labels, values, instance, path):
        self.labels, self.values, self.instance = labels, values, instance
        Image.fromarray(values).save(path)
        self.path = path
        self.label_map = describe_labels(labels)["label_map"]
        self.channels = labels.num_ids + labels.has_instance
        shape = [1, *values.shape, self.channels]
        self.facts = {
            "label_map": self.label_map,
            "inputs": [{"name": "semantics", "shape": shape}],
        }

    def semantics(self):
        """The inputs as Python makes them in training."""
        label, _ = read_label(self.path, self.labels)
        inputs = {"label": label[None].astype(np.int32)}
        if self.instance is not None:
            inputs["instance"] = self.instance[None].astype(np.int32)
        dense = Semantics.from_inputs(
            inputs,
            num_labels=self.labels.num_ids,
            use_instance_edges=self.labels.has_instance,
        ).dense
        return dense[0].numpy()

    def numbers(self):
        """The case for programs that cannot read JSON: lists of int32, each after its length."""
        unknown = [
            -1 if self.label_map[name] is None else self.label_map[name]
            for name in ("unknown_value", "unknown")
        ]
        head = [self.label_map["num_ids"], *unknown, *self.facts["inputs"][0]["shape"][1:]]
        instance = [] if self.instance is None else self.instance.ravel()
        lists = (head, self.label_map["id_of_value"], self.values.ravel(), instance)
        return b"".join(struct.pack(f"<{len(x) + 1}i", len(x), *map(int, x)) for x in lists)

    def json(self):
        instance = None if self.instance is None else self.instance.ravel().tolist()
        content = {"facts": self.facts, "values": self.values.ravel().tolist()}
        return json.dumps(content | {"instance": instance}).encode()


def label_set(num_classes, has_unknown, has_instance, id_table=()):
    return LabelSet(
        tuple(f"class {index}" for index in range(num_classes)),
        default_palette(num_classes, has_unknown),
        has_unknown,
        has_instance,
        files=LabelFiles(id_table=tuple(id_table)),
    )


def blocks(height, width, values, seed=0):
    small = np.random.default_rng(seed).choice(values, (height // 4, width // 4))
    return small.repeat(4, 0).repeat(4, 1).astype(np.uint8)


@pytest.fixture(
    params=["unknown and instances", "no instances", "other ids in files", "COCO-Stuff"]
)
def case(request, tmp_path):
    path, instance = tmp_path / "map.png", None
    if request.param == "COCO-Stuff":
        if not SAMPLE.is_dir():
            pytest.skip(f"needs real label maps in {SAMPLE}")
        found = [np.asarray(Image.open(file)) for file in sorted(SAMPLE.glob("train_label/*"))]
        names = sorted(SAMPLE.glob("train_label/*"))
        index = max(range(len(found)), key=lambda i: (found[i] == 255).sum())
        values = found[index]
        assert (values == 255).any()
        instance = np.asarray(Image.open(SAMPLE / "train_inst" / names[index].name))
        return Case(label_set(182, True, True), values, instance, path)
    if request.param == "other ids in files":
        # Like ADE20K's files: 0 is unknown, then the classes.
        labels = label_set(4, True, False, [4, 0, 1, 2, 3])
        return Case(labels, blocks(16, 24, [0, 1, 2, 3, 4]), None, path)
    values = blocks(16, 24, [0, 1, 2, 255])
    # The last pixel: there is no memory beyond it.
    values[-1, -1] = 255
    if request.param == "no instances":
        return Case(label_set(3, True, True), values, None, path)
    instance = blocks(16, 24, range(5), seed=1).astype(np.uint16) * 1000
    return Case(label_set(3, True, True), values, instance, path)


def run(command, given):
    return subprocess.run(command, input=given, capture_output=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    if shutil.which("node") is None:
        pytest.skip("needs node: apt-get install nodejs")
    folder = tmp_path_factory.mktemp("node")
    (folder / "package.json").write_text('{"type": "module"}')
    (folder / "main.js").write_text(JAVASCRIPT)
    shutil.copy(DOCS / "edge" / "label_map.js", folder)
    return ["node", str(folder / "main.js")]


@pytest.fixture(scope="module")
def cpp(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("needs g++: apt-get install g++")
    folder = tmp_path_factory.mktemp("cpp")
    (folder / "main.cc").write_text(CPP)
    checks = ["-std=c++17", "-O1", "-Wall", "-Wextra", "-Wno-unused-result", "-Werror"]
    checks += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-D_GLIBCXX_ASSERTIONS"]
    command = ["g++", *checks, "-I", str(DOCS / "edge"), "main.cc", "-o", "main"]
    subprocess.run(command, cwd=folder, check=True, timeout=120)
    return [str(folder / "main")]


@pytest.fixture(scope="module")
def kotlin(tmp_path_factory):
    compiler = os.environ.get("KOTLINC") or shutil.which("kotlinc")
    if compiler is None:
        pytest.skip("needs kotlinc: npm install kotlin-compiler, and its bin in PATH")
    folder = tmp_path_factory.mktemp("kotlin")
    (folder / "Main.kt").write_text(KOTLIN)
    files = [str(folder / "Main.kt"), str(DOCS / "edge" / "LabelMap.kt")]
    jar = str(folder / "main.jar")
    command = ["bash", compiler, *files, "-Werror", "-include-runtime", "-d", jar]
    subprocess.run(command, check=True, timeout=300)
    return ["java", "-jar", jar]


def test_the_document_shows_the_files():
    document = (DOCS / "EDGE.md").read_text()
    for name, language in SAMPLES.items():
        pattern = rf"<!-- docs/edge/{re.escape(name)} -->\n```{language}\n(.*?)```\n"
        found = re.findall(pattern, document, re.DOTALL)
        assert found == [(DOCS / "edge" / name).read_text()], name
    assert sorted(path.name for path in (DOCS / "edge").iterdir()) == sorted(SAMPLES)
    # And two of commands.
    assert document.count("```") == 2 * (len(SAMPLES) + 2)


def check(result, expected):
    assert result.returncode == 0, result.stderr.decode()
    made = np.frombuffer(result.stdout, np.float32).reshape(expected.shape)
    np.testing.assert_array_equal(made, expected)
    return made


def test_javascript_makes_what_python_makes(case, node):
    made = check(run(node, case.json()), case.semantics())
    # Each pixel has one class, and some of the maps' pixels are unknown.
    assert (made[..., : case.labels.num_ids].sum(-1) == 1).all()
    assert made[..., case.labels.num_classes].any()


def test_cpp_makes_what_python_makes(case, cpp):
    check(run(cpp, case.numbers()), case.semantics())


@pytest.mark.slow
def test_kotlin_makes_what_python_makes(case, kotlin):
    check(run(kotlin, case.numbers()), case.semantics())


def test_javascript_gives_a_model_of_ids_mapped_ones(case, node):
    height, width = case.values.shape
    shape = [1, height, width]
    case.facts["inputs"] = [{"name": name, "shape": shape} for name in ("label", "instance")]
    result = run(node, case.json())
    assert result.returncode == 0, result.stderr.decode()
    label, instance = np.frombuffer(result.stdout, np.int32).reshape(2, height, width)
    np.testing.assert_array_equal(label, read_label(case.path, case.labels)[0])
    np.testing.assert_array_equal(instance, 0 if case.instance is None else case.instance)


@pytest.fixture(params=["255 without unknown", "out of range", "none in the table", "size"])
def bad(request, tmp_path):
    path = tmp_path / "map.png"
    values = blocks(8, 8, [0, 1])
    if request.param == "size":
        case = Case(label_set(2, True, True), values, None, path)
        case.values = values[:, :4]
        return case, b"takes 8x8"
    value, labels = {
        "255 without unknown": (255, label_set(2, False, False)),
        "out of range": (2, label_set(2, True, False)),
        "none in the table": (1, label_set(2, True, False, [2, -1, 0, 1])),
    }[request.param]
    values[:] = 0
    values[-1, -1] = value
    return Case(labels, values, None, path), b"value %d at pixel 63 is of no class" % value


def test_what_has_no_class_is_refused(bad, node, cpp):
    case, sentence = bad
    for command, given in ((node, case.json()), (cpp, case.numbers())):
        result = run(command, given)
        assert result.returncode == 3, result.stderr.decode()
        assert sentence in result.stderr
        assert not result.stdout


@pytest.mark.slow
def test_kotlin_refuses_what_has_no_class(bad, kotlin):
    case, sentence = bad
    result = run(kotlin, case.numbers())
    assert result.returncode == 3
    assert sentence in result.stderr


def test_classes_say_what_to_draw_them_with():
    values = [item["value"] for item in describe_labels(label_set(3, True, False))["classes"]]
    assert values == [0, 1, 2, 255]
    described = describe_labels(label_set(3, True, False, [3, 0, 1, 2]))
    assert [item["value"] for item in described["classes"]] == [1, 2, 3, 0]
    assert described["label_map"]["unknown"] is None
    many = describe_labels(label_set(300, True, False))
    assert many["label_map"]["unknown_value"] == 65535
    assert [item["value"] for item in many["classes"]][-2:] == [299, 65535]
