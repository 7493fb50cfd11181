"""What the tests of every room share: a cache of compiled kernels, the composed MS patient, people to run it on."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("here", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")
FAMILIES = ("ahsct", "drugs", "steroids")


def pytest_configure(config: pytest.Config) -> None:
    """Give the session its own cache, in which the compiled kernels alone outlive it.

    No test reads what another session computed; a kernel is slow to compile, and its key is the hash of its whole
    source. Kernels lie in $STEMTRIAL_CACHE where that is set, else in pytest's.
    """
    given = os.environ.get("STEMTRIAL_CACHE")
    kernels = Path(given) / "kernels" if given else Path(config.cache.mkdir("kernels"))
    kernels.mkdir(parents=True, exist_ok=True)
    root = Path(tempfile.mkdtemp(prefix="stemtrial-tests-"))
    (root / "kernels").symlink_to(kernels.resolve(), target_is_directory=True)
    os.environ["STEMTRIAL_CACHE"] = str(root)
    config.add_cleanup(lambda: shutil.rmtree(root, ignore_errors=True))


@pytest.fixture(autouse=True, scope="session")
def no_posterior(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Predict from the point values unless a test says otherwise: what is tested is not the posterior of the day."""
    from stemtrial.parameters import shipped

    with pytest.MonkeyPatch.context() as m:
        m.setattr(shipped, "FOLDER", tmp_path_factory.mktemp("no-posterior"))
        yield


@pytest.fixture(scope="session")
def everything() -> Any:
    """The MS patient with all families, as MIST composes it."""
    from stemtrial.therapy import acting_on, compose

    return compose("ms", acting_on("ms"))


@pytest.fixture(scope="session")
def everything_als() -> Any:
    """The patient with ALS with all families: the one kernel of ALS that tests compile, wherever it will do."""
    from stemtrial.therapy import acting_on, compose

    return compose("als", acting_on("als"))


@pytest.fixture(scope="session")
def point() -> dict[str, float]:
    """Point values of all parameters."""
    from stemtrial.parameters import point_draw

    return point_draw()[0]


@pytest.fixture(scope="session")
def people(point: dict[str, float]) -> Callable[..., Any]:
    """Function (kernel, n, ...) -> Population of different people at onset of the kernel's disease."""
    from stemtrial.cohort.als.population import people_at_onset as with_als
    from stemtrial.cohort.ms.population import people_at_onset as with_ms

    def make(kernel: Any, n: int, *, replicate: int = 0, first: int = 0, p: Any = None, **state: Any) -> Any:
        index = np.arange(first, first + n, dtype=np.uint64)
        year, duration = np.full(n, 2008.0), np.full(n, 5.0)
        if kernel.model.name == "als":
            constants, start = with_als(7, index, p or point)
        else:
            constants, start = with_ms(7, index, p or point, entry_year=year, duration_years=duration)
        return kernel.population(replicate, index, constants, start | state)

    return make


@pytest.fixture(scope="session")
def mist() -> Any:
    """MIST with 40 patients."""
    from stemtrial.predict.run import scaled
    from stemtrial.trial.protocol import load_protocol

    return scaled(load_protocol("mist"), 40)


@pytest.fixture(scope="session")
def recruits(mist: Any, everything: Any) -> Any:
    """People who may enter MIST."""
    from stemtrial.cohort.recruit import recruit
    from stemtrial.parameters import point_draw
    from stemtrial.trial.recruiting import care_of

    return recruit(everything, point_draw(), 0, care_of(mist), mist.population.criteria, 400, threads=2)


@pytest.fixture(scope="session")
def recruits_als(everything_als: Any) -> Any:
    """People with ALS who may enter a trial, on riluzole where they take it, from batches of 4,000."""
    from stemtrial.cohort import recruit as room
    from stemtrial.cohort.clinic import Care
    from stemtrial.cohort.eligibility import Eligibility
    from stemtrial.parameters import point_draw

    care = Care("als", "als", "riluzole", (2005.7, 2016.5))
    with pytest.MonkeyPatch.context() as m:
        m.setattr(room, "BATCH", 4000)
        return room.recruit(everything_als, point_draw(), 0, care, Eligibility(["age_years >= 18"]), 400, threads=2)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that holds no results, only the compiled kernels of the session."""
    kernels = Path(os.environ["STEMTRIAL_CACHE"]) / "kernels"
    kernels.mkdir(parents=True, exist_ok=True)
    root = tmp_path / "cache"
    root.mkdir()
    (root / "kernels").symlink_to(kernels.resolve(), target_is_directory=True)
    monkeypatch.setenv("STEMTRIAL_CACHE", str(root))
    return root
