import importlib
import inspect
import pkgutil

import keras

import spade_tf.layers
import spade_tf.networks


def public_classes():
    found = set()
    for package in (spade_tf.layers, spade_tf.networks):
        for info in pkgutil.iter_modules(package.__path__, prefix=f"{package.__name__}."):
            module = importlib.import_module(info.name)
            found |= {
                member
                for name, member in inspect.getmembers(module, inspect.isclass)
                if issubclass(member, keras.layers.Layer)
                and member.__module__ == module.__name__
                and not name.startswith("_")
            }
    return found


def test_every_public_class_is_in_the_register(registered_classes):
    missing = sorted(cls.__name__ for cls in public_classes() - registered_classes)
    assert not missing, f"add to tests/helpers/conformance_*.py: {', '.join(missing)}"


def test_the_search_finds_layers_and_networks():
    names = {cls.__name__ for cls in public_classes()}
    assert {"SPADE", "SpatialModulation", "SPADEGenerator", "NLayerDiscriminator"} <= names


def test_every_case_is_of_a_public_class(registered_classes):
    assert registered_classes <= public_classes()
