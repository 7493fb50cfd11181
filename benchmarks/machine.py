"""What the core can do, and what the compiled kernel asks of it."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import sys
import time
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


def flops_per_lane(assembly: str, stores_per_loop: list[int]) -> float:
    """Floating-point operations that a function's vectorised lane loops execute for one lane, from its machine code.

    How many lanes an iteration serves follows from how often its loop stores, against the source.

    Parameters
    ----------
    assembly : str
        Of one compiled function.
    stores_per_loop : list of int
        Rows that each lane loop of the source writes, in order.
    """
    lines = [line.strip() for line in assembly.splitlines()]
    labels = {m.group(1): i for i, line in enumerate(lines) if (m := re.match(r"(\.?[\w.$]+):", line))}
    register = "zmm" if any("zmm" in x for x in lines) else "ymm"
    loops = []
    for i, line in enumerate(lines):
        m = re.match(r"j\w+\s+(\.?[\w.$]+)$", line)
        if m and labels.get(m.group(1), i + 1) < i:
            body = [x for x in lines[labels[m.group(1)] : i] if register in x]
            stores = sum(_stores(x) for x in body)
            if stores:
                loops.append((body, stores))
    if not loops:  # unrolled whole
        loops = [(lines, sum(_stores(x) for x in lines if register in x))]
    if len(loops) != len(stores_per_loop):  # loops were split or joined: one ratio for all
        every = sum(stores for _, stores in loops) / max(1, sum(stores_per_loop))
        return sum(_flops(body) for body, _ in loops) / max(1, round(every))
    pairs = zip(loops, stores_per_loop, strict=True)
    return float(sum(_flops(body) / max(1, round(stores / expected)) for (body, stores), expected in pairs))


def _stores(line: str) -> bool:
    return line.startswith("vmov") and line.endswith(")") and "(%rsp" not in line and "(%rbp" not in line


def _flops(body: list[str]) -> int:
    ops = [x.split()[0] for x in body if x]
    return sum(2 if TWO.match(op) else 1 if ONE.match(op) else 0 for op in ops)


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
