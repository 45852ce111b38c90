import pytest
import torch
from jaxtyping import config


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
