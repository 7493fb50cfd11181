"""What the core can do, and what the compiled kernel asks of it."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from llvmlite import binding

TWO = re.compile(r"^vfn?m(add|sub)\d*(213|231|132)?pd$")
ONE = re.compile(r"^v(add|sub|mul|div|sqrt|min|max)pd$")


def vector_width() -> int:
    """Doubles in the widest vector register of this machine."""
    return 8 if binding.get_host_cpu_features().get("avx512f") else 4


def fma_peak(seconds: float = 0.5) -> float:
    """Measured f64 peak of one core in flops a CPU second: sixteen independent vector fma chains."""
    w, chains = vector_width(), 16
    v = f"<{w} x double>"
    one = "<" + ", ".join(["double 1.0"] * w) + ">"
    small = "<" + ", ".join(["double 1.0e-9"] * w) + ">"
    phis = "\n".join(f"%a{i} = phi {v} [ {one}, %entry ], [ %b{i}, %loop ]" for i in range(chains))
    body = "\n".join(f"%b{i} = call {v} @llvm.fma({v} %a{i}, {v} {one}, {v} {small})" for i in range(chains))
    body = body.replace("@llvm.fma(", f"@llvm.fma.v{w}f64(")
    total = "\n".join(f"%s{i} = fadd {v} {'%b0' if i == 1 else f'%s{i - 1}'}, %b{i}" for i in range(1, chains))
    source = f"""
declare {v} @llvm.fma.v{w}f64({v}, {v}, {v})
define double @peak(i64 %n) {{
entry:
  br label %loop
loop:
  %k = phi i64 [ 0, %entry ], [ %k1, %loop ]
  {phis}
  {body}
  %k1 = add i64 %k, 1
  %more = icmp ult i64 %k1, %n
  br i1 %more, label %loop, label %done
done:
  {total}
  %r = extractelement {v} %s{chains - 1}, i32 0
  ret double %r
}}"""
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    module = binding.parse_assembly(source)
    features = binding.get_host_cpu_features().flatten() + ",-prefer-256-bit"
    machine = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=3
    )
    engine = binding.create_mcjit_compiler(module, machine)
    engine.finalize_object()
    run = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_int64)(engine.get_function_address("peak"))
    n, best, until = 1_000_000, 0.0, time.perf_counter() + seconds
    while time.perf_counter() < until:
        t = time.thread_time()
        run(n)
        best = max(best, n * chains * w * 2 / (time.thread_time() - t))
    return best


def flops_per_lane(assembly: str, stores_per_lane: int) -> tuple[float, Counter[str]]:
    """Floating-point operations that a vectorised lane loop executes for one lane, counted from its machine code.

    The loop that holds the stores is taken; how many lanes an iteration serves follows from how often it stores.

    Parameters
    ----------
    assembly : str
        Of one compiled function.
    stores_per_lane : int
        Rows that the source of the function writes.
    """
    lines = [line.strip() for line in assembly.splitlines()]
    labels = {m.group(1): i for i, line in enumerate(lines) if (m := re.match(r"(\.?[\w.$]+):", line))}
    best: list[str] = []
    for i, line in enumerate(lines):
        m = re.match(r"j\w+\s+(\.?[\w.$]+)$", line)
        if m and labels.get(m.group(1), i + 1) < i:
            body = lines[labels[m.group(1)] : i]
            if sum("mm" in x for x in body) > sum("mm" in x for x in best):
                best = body
    body = best or lines
    ops: Counter[str] = Counter(x.split()[0] for x in body if x and not x.startswith((".", "#")))
    register = "zmm" if any("zmm" in x for x in body) else "ymm"
    lanes_a_register = 8 if register == "zmm" else 4
    stores = sum(
        x.startswith("vmov") and x.rstrip().endswith(")") and register in x and "(%rsp" not in x and "(%rbp" not in x
        for x in body
    )
    interleaved = max(1, round(stores / max(1, stores_per_lane)))
    vector = [x for x in body if register in x]
    flops = sum(2 if TWO.match(x.split()[0]) else 1 if ONE.match(x.split()[0]) else 0 for x in vector)
    return flops * lanes_a_register / (lanes_a_register * interleaved), ops


def registers(assembly: str) -> dict[str, int]:
    """How often each vector register kind is named."""
    return {r: len(re.findall(rf"%{r}\d", assembly)) for r in ("zmm", "ymm", "xmm")}


def peak_memory() -> int:
    """Peak resident memory of this process in bytes.

    Linux carries ``ru_maxrss`` over from the process that started this one, so the child of a large benchmark would
    report its parent; the high-water mark in /proc is the process's own.
    """
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        found = None
    if found is not None:
        return int(found[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def load_average() -> float:
    """Jobs that wanted a core in the last minute."""
    return os.getloadavg()[0]


def assemblies(module: Any, names: tuple[str, ...]) -> dict[str, str]:
    """Machine code of compiled functions of a module."""
    return {n: next(iter(getattr(module, n).inspect_asm().values())) for n in names}
