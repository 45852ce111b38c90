import pytest
import torch
from jaxtyping import config

from . import families


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def as_users_run():
    """Without the shape checks that tests alone switch on, so that the package's own message is read."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)


@pytest.fixture
def model():
    return families.build()


@pytest.fixture
def batch():
    return families.inputs("qwen2_5_vl", [families.ids(3, 5), families.ids(6, 9, 1)])
