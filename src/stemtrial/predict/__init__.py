"""Predictions: protocol x replicates x draws, and what was published beside them."""

from stemtrial.predict.compare import Comparison, compare, protocol_of
from stemtrial.predict.obstacles import obstacles
from stemtrial.predict.run import Prediction, Settings, as_json, predict

__all__ = [
    "Comparison",
    "Prediction",
    "Settings",
    "as_json",
    "compare",
    "obstacles",
    "predict",
    "protocol_of",
]
