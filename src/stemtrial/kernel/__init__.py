"""A model declared once becomes a fast, reproducible population kernel. Knows no medicine."""

from stemtrial.kernel.effect import Effect
from stemtrial.kernel.graph import Expr, cos2pi, exp, floor, log, maximum, minimum, power10, sqrt, where
from stemtrial.kernel.model import SLOW_DAYS, YEAR, Model
from stemtrial.kernel.random import derive_seed, normals, uniforms
from stemtrial.kernel.run import MAX_AMOUNTS, Advanced, Kernel, Population, Schedule, build, default_threads

__all__ = [
    "MAX_AMOUNTS",
    "SLOW_DAYS",
    "YEAR",
    "Advanced",
    "Effect",
    "Expr",
    "Kernel",
    "Model",
    "Population",
    "Schedule",
    "build",
    "cos2pi",
    "default_threads",
    "derive_seed",
    "exp",
    "floor",
    "log",
    "maximum",
    "minimum",
    "normals",
    "power10",
    "sqrt",
    "uniforms",
    "where",
]
