"""Every number of the science, as data: symbol, meaning, value, unit, prior, source, and what identifies it.

The numbers lie in YAML beside their owners (``disease/ms.parameters.yaml`` holds ``ms.*``); this room registers them.
``Draws`` is a table over all of them: the posterior that comes with the package, or the one draw of point values.
"""

from stemtrial.parameters.draws import OTHER_PARAMETERS, POINT, Draws, draws_with, point_draw
from stemtrial.parameters.priors import from_normal, to_normal
from stemtrial.parameters.register import Parameter, parameters_identity, registry
from stemtrial.parameters.shipped import default_draws, is_shipped, posterior, write_posterior
from stemtrial.parameters.standing import STANDINGS, standing

__all__ = [
    "OTHER_PARAMETERS",
    "POINT",
    "STANDINGS",
    "Draws",
    "Parameter",
    "default_draws",
    "draws_with",
    "from_normal",
    "is_shipped",
    "parameters_identity",
    "point_draw",
    "posterior",
    "registry",
    "standing",
    "to_normal",
    "write_posterior",
]  # fmt: skip
