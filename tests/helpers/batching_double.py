"""Imitates TensorFlow Serving's batching (BatchingSession on SharedBatchScheduler).

Each signature has a queue. A request is one task with the rows of its inputs; if large batches are
split, each part is a task. Tasks go into the open batch until it is full. The rows of a batch are
concatenated, run once and split again. A batch has one status for all its tasks. A request of
several tasks gets the first status that is not OK.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

INT64, BOOL, STRING, MESSAGE = 3, 8, 9, 11

# Fields of BatchingParameters by number, each with the type of the value that it wraps. The
# package of TensorFlow Serving's stubs lacks this message.
_WRAPPED = {
    "max_batch_size": (1, INT64),
    "batch_timeout_micros": (2, INT64),
    "max_enqueued_batches": (3, INT64),
    "num_batch_threads": (4, INT64),
    "thread_pool_name": (5, STRING),
    "max_execution_batch_size": (10, INT64),
    "enable_large_batch_splitting": (11, BOOL),
}


def batching_parameters(text: str) -> Any:
    """Reads a `--batching_parameters_file` as TensorFlow Serving does."""
    file = descriptor_pb2.FileDescriptorProto(name="batching.proto", package="b", syntax="proto3")
    for kind, name in ((INT64, "Int64"), (BOOL, "Bool"), (STRING, "String")):
        wrapper = file.message_type.add(name=name)
        wrapper.field.add(name="value", number=1, type=kind, label=1)
    parameters = file.message_type.add(name="BatchingParameters")
    names = {INT64: ".b.Int64", BOOL: ".b.Bool", STRING: ".b.String"}
    for name, (number, kind) in _WRAPPED.items():
        parameters.field.add(name=name, number=number, type=MESSAGE, label=1, type_name=names[kind])
    parameters.field.add(name="allowed_batch_sizes", number=6, type=INT64, label=3)
    parameters.field.add(name="pad_variable_length_inputs", number=7, type=BOOL, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    message = message_factory.GetMessageClass(pool.FindMessageTypeByName("b.BatchingParameters"))
    return text_format.Parse(text, message())


class RefusedError(Exception):
    """A status that is not OK."""

    def __init__(self, code: str, text: str):
        super().__init__(f"{code}: {text}")
        self.code = code


class _Task(NamedTuple):
    request: int
    inputs: dict[str, np.ndarray]
    rows: int


class BatchingDouble:
    """Answers requests that wait at the same time.

    Args:
        signatures: signatures of a SavedModel.
        parameters: the result of `batching_parameters`.

    Attributes:
        batches: rows of each batch that was run.
    """

    def __init__(self, signatures: Any, parameters: Any):
        self.signatures = signatures
        self.parameters = parameters
        self.batches: list[int] = []

    def answer(
        self, requests: list[tuple[str, dict[str, np.ndarray]]]
    ) -> list[dict[str, np.ndarray] | RefusedError]:
        """Outputs, or a status, of each request: a signature's name and inputs."""
        answers: list[Any] = [None] * len(requests)
        for name in {signature for signature, _ in requests}:
            self._answer_queue(name, requests, answers)
        return answers

    def _answer_queue(self, name, requests, answers):
        splits = self.parameters.enable_large_batch_splitting.value
        limit = self.parameters.max_batch_size.value
        execution = self.parameters.max_execution_batch_size.value if splits else limit
        batches: list[list[_Task]] = [[]]
        for index, (signature, inputs) in enumerate(requests):
            if signature != name:
                continue
            counts = {len(value) for value in inputs.values()}
            if len(counts) != 1:
                answers[index] = RefusedError("INVALID_ARGUMENT", "batching input tensors differ")
                continue
            rows = counts.pop()
            if rows > limit:
                text = f"Task size {rows} is larger than maximum input batch size {limit}"
                answers[index] = RefusedError("INVALID_ARGUMENT", text)
                continue
            # The queue is as full as possible: no batch is taken before all requests have arrived.
            capacity = (self.parameters.max_enqueued_batches.value - len(batches)) * execution
            if rows > capacity + execution - _size(batches[-1]):
                answers[index] = RefusedError("UNAVAILABLE", "The batch scheduling queue is full")
                continue
            for task in self._tasks(index, inputs, rows, execution - _size(batches[-1]), execution):
                if _size(batches[-1]) + task.rows > execution:
                    batches.append([])
                batches[-1].append(task)
        parts: dict[int, list[Any]] = {}
        for batch in filter(None, batches):
            for task, outcome in zip(batch, self._run(name, batch), strict=True):
                parts.setdefault(task.request, []).append(outcome)
        for index, outcomes in parts.items():
            failed = [outcome for outcome in outcomes if isinstance(outcome, RefusedError)]
            answers[index] = failed[0] if failed else _joined(outcomes)

    def _tasks(self, index, inputs, rows, free, execution):
        if rows <= free or not self.parameters.enable_large_batch_splitting.value:
            return [_Task(index, inputs, rows)]
        sizes = [free] if free else []
        while sum(sizes) < rows:
            sizes.append(min(execution, rows - sum(sizes)))
        ends = np.cumsum(sizes)
        return [
            _Task(index, {key: value[end - size : end] for key, value in inputs.items()}, size)
            for size, end in zip(sizes, ends, strict=True)
        ]

    def _run(self, name, batch):
        self.batches.append(_size(batch))
        try:
            merged = {key: self._merged(key, batch) for key in batch[0].inputs}
            outputs = self.signatures[name](**{key: tf.constant(v) for key, v in merged.items()})
        except RefusedError as refused:
            return [refused] * len(batch)
        except tf.errors.InvalidArgumentError as error:
            return [RefusedError("INVALID_ARGUMENT", str(error))] * len(batch)
        ends = np.cumsum([task.rows for task in batch])
        return [
            {key: value.numpy()[end - task.rows : end] for key, value in outputs.items()}
            for task, end in zip(batch, ends, strict=True)
        ]

    def _merged(self, key, batch):
        values = [task.inputs[key] for task in batch]
        if len({value.shape[1:] for value in values}) > 1:
            raise RefusedError(
                "FAILED_PRECONDITION", f"Tensors with name {key!r} have different shapes"
            )
        return np.concatenate(values)


def _size(batch):
    return sum(task.rows for task in batch)


def _joined(outcomes):
    return {key: np.concatenate([part[key] for part in outcomes]) for key in outcomes[0]}
