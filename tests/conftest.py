"""Settings of all tests: the same examples in every run of the suite, errors whose folds no path moves."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from hwsim.spec import screen

settings.register_profile("suite", derandomize=True, deadline=None, print_blob=True)
settings.load_profile("suite")

USUAL_WIDTH = screen.WIDTH


@pytest.fixture(scope="session", autouse=True)
def _one_line_per_message() -> Iterator[None]:
    """Do not fold errors: where a line folds depends on how long the path of the checkout is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen, "WIDTH", 100_000)
        yield


@pytest.fixture(scope="module")
def folded(_one_line_per_message: None) -> Iterator[None]:
    """Fold errors, as users see them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(screen, "WIDTH", USUAL_WIDTH)
        yield
