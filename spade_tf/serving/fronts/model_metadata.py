"""Status and metadata of a model and its versions, for TF Serving's interfaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from google.protobuf.json_format import MessageToDict
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from spade_tf.serving.model.versions import Servable, Status


def status_message(statuses: Sequence[Status]) -> get_model_status_pb2.GetModelStatusResponse:
    """States of versions."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for status in statuses:
        each = response.model_version_status.add(version=status.version)
        each.state = each.State.Value(status.state)
        if status.error:
            # TF Serving reports a version that could not be loaded in this way.
            each.status.error_code = 2
            each.status.error_message = status.error
    return response


def status_object(statuses: Sequence[Status]) -> dict[str, Any]:
    """States of versions, for JSON."""
    return {
        "model_version_status": [
            {
                "version": str(status.version),
                "state": status.state,
                "status": {
                    "error_code": "UNKNOWN" if status.error else "OK",
                    "error_message": status.error,
                },
            }
            for status in statuses
        ]
    }


def signatures_message(servable: Servable) -> get_model_metadata_pb2.SignatureDefMap:
    """Signatures of a version."""
    message = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in servable.predictor.signature_defs.items():
        message.signature_def[name].CopyFrom(definition)
    return message


def metadata_message(
    servable: Servable, name: str
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Signatures and number of a version."""
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = name
    response.model_spec.version.value = servable.number
    response.metadata["signature_def"].Pack(signatures_message(servable))
    return response


def metadata_object(servable: Servable, name: str) -> Mapping[str, Any]:
    """Signatures and number of a version, for JSON."""
    signatures = MessageToDict(
        signatures_message(servable),
        preserving_proto_field_name=True,
        always_print_fields_with_no_presence=True,
    )
    return {
        "model_spec": {"name": name, "signature_name": "", "version": str(servable.number)},
        "metadata": {"signature_def": signatures},
    }
