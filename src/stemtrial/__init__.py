"""An open laboratory for virtual trials of stem-cell therapy in multiple sclerosis and ALS.

A trial from its protocol to what it would show, beside what was published::

    import stemtrial as st

    protocol = st.load_protocol("mist")
    prediction = st.predict(protocol, st.Settings(replicates=100))
    for row in st.compare(prediction).misses:
        print(row["outcome_id"], row["median"], row["published"]["value"])

:func:`predict` is the whole chain ``recruit -> conduct -> derive -> estimate``, repeated; each step can be taken alone.
The registries ``diseases, therapies, instruments, endpoints, protocols, studies`` are functions without arguments.
Names are imported when they are first used, so that ``import stemtrial`` costs nothing.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stemtrial.cohort.recruit import Care as Care
    from stemtrial.cohort.recruit import Recruits as Recruits
    from stemtrial.cohort.recruit import recruit as recruit
    from stemtrial.endpoint import Counts as Counts
    from stemtrial.endpoint import Events as Events
    from stemtrial.endpoint import Values as Values
    from stemtrial.endpoint import definitions as endpoints
    from stemtrial.endpoint import derive as derive
    from stemtrial.errors import InputError as InputError
    from stemtrial.evidence import Study as Study
    from stemtrial.evidence import studies as studies
    from stemtrial.kernel import Kernel as Kernel
    from stemtrial.observe import instruments as instruments
    from stemtrial.parameters import Draws as Draws
    from stemtrial.parameters import point_draw as point_draw
    from stemtrial.predict.compare import Comparison as Comparison
    from stemtrial.predict.compare import compare as compare
    from stemtrial.predict.estimate import Analysed as Analysed
    from stemtrial.predict.estimate import estimate as estimate
    from stemtrial.predict.estimate import rows_of as rows_of
    from stemtrial.predict.run import Prediction as Prediction
    from stemtrial.predict.run import Settings as Settings
    from stemtrial.predict.run import predict as predict
    from stemtrial.report.data import ReportData as ReportData
    from stemtrial.report.explain import diseases as diseases
    from stemtrial.report.page import write_report as report
    from stemtrial.therapy import catalogue as therapies
    from stemtrial.therapy import compose as compose
    from stemtrial.trial.conduct import Trial as Trial
    from stemtrial.trial.conduct import conduct as conduct
    from stemtrial.trial.entry import families_of as families_of
    from stemtrial.trial.protocol import Protocol as Protocol
    from stemtrial.trial.protocol import load_protocol as load_protocol
    from stemtrial.trial.protocol import protocol_names as protocols
    from stemtrial.trial.recruiting import care_of as care_of

_WHERE = {
    # the eight functions, in the order of the chain
    "load_protocol": "stemtrial.trial.protocol",
    "recruit": "stemtrial.cohort.recruit",
    "conduct": "stemtrial.trial.conduct",
    "derive": "stemtrial.endpoint",
    "estimate": "stemtrial.predict.estimate",
    "predict": "stemtrial.predict.run",
    "compare": "stemtrial.predict.compare",
    "report": "stemtrial.report.page:write_report",
    # what the single steps take
    "compose": "stemtrial.therapy",
    "families_of": "stemtrial.trial.entry",
    "point_draw": "stemtrial.parameters",
    "care_of": "stemtrial.trial.recruiting",
    "rows_of": "stemtrial.predict.estimate",
    # types
    "Analysed": "stemtrial.predict.estimate",
    "Care": "stemtrial.cohort.recruit",
    "Comparison": "stemtrial.predict.compare",
    "Counts": "stemtrial.endpoint",
    "Draws": "stemtrial.parameters",
    "Events": "stemtrial.endpoint",
    "InputError": "stemtrial.errors",
    "Kernel": "stemtrial.kernel",
    "Prediction": "stemtrial.predict.run",
    "Protocol": "stemtrial.trial.protocol",
    "Recruits": "stemtrial.cohort.recruit",
    "ReportData": "stemtrial.report.data",
    "Settings": "stemtrial.predict.run",
    "Study": "stemtrial.evidence",
    "Trial": "stemtrial.trial.conduct",
    "Values": "stemtrial.endpoint",
    # registries
    "diseases": "stemtrial.report.explain",
    "endpoints": "stemtrial.endpoint:definitions",
    "instruments": "stemtrial.observe",
    "protocols": "stemtrial.trial.protocol:protocol_names",
    "studies": "stemtrial.evidence",
    "therapies": "stemtrial.therapy:catalogue",
}
"""Public name -> module, and the name there where it differs."""


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'stemtrial' has no attribute '{name}'")
    found = _resolve(name)
    if name not in globals():  # a room of the same name is bound by now, see _Room
        globals()[name] = found
    return globals()[name]


def _resolve(name: str) -> Any:
    module, _, other = _WHERE[name].partition(":")
    return getattr(importlib.import_module(module), other or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})


class _Room(types.ModuleType):
    """A room that can be called as the public function of the same name: ``predict``, ``report``.

    Importing ``stemtrial.predict`` binds the room to this package, where it would hide the function.
    """

    @property
    def __wrapped__(self) -> Any:
        return _resolve(self.__name__.rpartition(".")[2])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.__wrapped__(*args, **kwargs)


class _Package(types.ModuleType):
    def __setattr__(self, name: str, value: Any) -> None:
        if name in _WHERE and isinstance(value, types.ModuleType):
            value.__class__ = _Room
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package

__all__ = [
    "Analysed",
    "Care",
    "Comparison",
    "Counts",
    "Draws",
    "Events",
    "InputError",
    "Kernel",
    "Prediction",
    "Protocol",
    "Recruits",
    "ReportData",
    "Settings",
    "Study",
    "Trial",
    "Values",
    "care_of",
    "compare",
    "compose",
    "conduct",
    "derive",
    "diseases",
    "endpoints",
    "estimate",
    "families_of",
    "instruments",
    "load_protocol",
    "point_draw",
    "predict",
    "protocols",
    "recruit",
    "report",
    "rows_of",
    "studies",
    "therapies",
]
