"""The benchmarks count what they say they count; no timing is asserted."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np

from stemtrial.therapy import compose

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
kernel = importlib.import_module("benchmarks.kernel")
machine = importlib.import_module("benchmarks.machine")

LOOP = """
\tmovq\t%rsi, %rax
.LBB0_1:
\tvmovupd\t(%rax,%rcx,8), %zmm0
\tvfmadd213pd\t576(%rax,%rcx,8), %zmm1, %zmm0
\tvaddpd\t64(%rsp), %zmm0, %zmm0
\tvmovupd\t%zmm0, 128(%rsp)
\tvmovupd\t%zmm0, (%rax,%rcx,8)
\taddq\t$8, %rcx
\tjne\t.LBB0_1
.LBB0_2:
\tvmovsd\t(%rax,%rcx,8), %xmm0
\tvaddsd\t%xmm0, %xmm0, %xmm0
\tincq\t%rcx
\tjne\t.LBB0_2
\tretq
"""


def test_flops_of_a_lane_are_counted_in_the_vector_loop_only():
    flops = machine.flops_per_lane(LOOP, [1])
    assert flops == 3.0  # one fma, one add; the scalar loop never runs, the spill is no row


def test_an_iteration_that_stores_twice_as_often_serves_twice_the_lanes():
    store = "\tvmovupd\t%zmm0, (%rax,%rcx,8)\n"
    flops = machine.flops_per_lane(LOOP.replace(store, store + store), [1])
    assert flops == 1.5


def test_schedules_give_what_they_name():
    k = compose("ms", kernel.ALL)
    assert len(kernel.schedule(k, 5, "untreated").day) == 0
    assert set(kernel.schedule(k, 5, "natalizumab").dose) == {k.dose("drugs.start.natalizumab")}
    graft = kernel.schedule(k, 5, "aHSCT")
    assert sorted(set(graft.day - kernel.RUN_IN)) == [0, 21]
    assert np.bincount(graft.patient).tolist() == [2] * 5


def test_every_round_of_a_case_starts_from_the_same_state():
    case = kernel.Case("short", compose("ms", kernel.ALL), 20, days=28)
    case.run()
    first = case.people.state.copy()
    case.run()
    assert np.array_equal(case.people.state, first)
    assert len(case.rates) == 2


def test_peak_memory_is_the_own_one_and_not_inherited():
    grown = np.ones(60_000_000)  # 480 MB that a child must not report
    assert machine.peak_memory() > grown.nbytes
    ask = "from benchmarks.machine import peak_memory; print(peak_memory())"
    told = subprocess.run([sys.executable, "-c", ask], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert 0 < int(told) < grown.nbytes


def test_command_line_names_what_it_measures():
    command = [sys.executable, "-m", "benchmarks", "--help"]
    told = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert "{kernel,recruiting,trial,endpoint,analysis}" in told
