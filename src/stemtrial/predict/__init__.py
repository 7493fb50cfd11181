"""Predictions: protocol x replicates x draws, and what was published beside them."""

from stemtrial.predict.run import Prediction, Settings, as_json, predict

__all__ = ["Prediction", "Settings", "as_json", "predict"]
