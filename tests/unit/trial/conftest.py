"""Trials of either disease on the kernels and recruits that the session shares."""

from __future__ import annotations

import pytest
from trials import Trials


@pytest.fixture(scope="session")
def in_ms(recruits, everything, point):
    """Conducts trials in MS."""
    return Trials("ms", recruits, everything, point)


@pytest.fixture(scope="session")
def in_als(recruits_als, everything_als, point):
    """Conducts trials in ALS."""
    return Trials("als", recruits_als, everything_als, point)


@pytest.fixture(scope="session", params=["ms", "als"])
def in_each(request):
    """Conducts trials in one disease after the other."""
    return request.getfixturevalue(f"in_{request.param}")
