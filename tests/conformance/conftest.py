"""Runs each conformance test over all public layers and networks; see tests/helpers."""

# They register what is in them.
import conformance_layers  # noqa: F401
import conformance_networks  # noqa: F401
import keras
import pytest
from conformance import CASES


def pytest_generate_tests(metafunc):
    networks = {n: case for n, case in CASES.items() if issubclass(case.layer_class, keras.Model)}
    layers = {name: case for name, case in CASES.items() if name not in networks}
    kinds = (("case", CASES), ("network_case", networks), ("layer_case", layers))
    for argument, cases in kinds:
        if argument in metafunc.fixturenames:
            metafunc.parametrize(argument, list(cases.values()), ids=list(cases))


@pytest.fixture
def registered_classes():
    return {case.layer_class for case in CASES.values()}
