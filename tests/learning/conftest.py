import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Numbers drawn without a generator of their own do not depend on the tests before."""
    torch.manual_seed(0)
