"""A model with everything that can be exported."""

import pytest
import served_networks
import tensorflow as tf

from spade_tf.export.saved_model import export_saved_model


@pytest.fixture(scope="session")
def networks():
    return served_networks.spade_with_styles(), served_networks.encoder()


@pytest.fixture(scope="session")
def version(networks, tmp_path_factory):
    generator, encoder = networks
    return export_saved_model(
        generator,
        tmp_path_factory.mktemp("export") / "tiny",
        encoder=encoder,
        unknown_id=255,
        assets={"config.json": '{"answer": 42}', "model_card.md": "# tiny\n"},
    )


@pytest.fixture(scope="session")
def loaded(version):
    return tf.saved_model.load(str(version))


@pytest.fixture(scope="session")
def signatures(loaded):
    return loaded.signatures
