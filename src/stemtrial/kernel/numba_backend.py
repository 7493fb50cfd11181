"""Prints a program as a Numba block kernel: structure of arrays, W patients a block, one vectorised pass a step.

The dense pass computes every next value for all lanes and one slack, negative where a jump *may* happen (a cheap upper
bound). Only those lanes run the exact test and the jump's effect, as scalar code. Visits, doses, entries and exits of
single lanes are found by one vector compare a step. The generated module holds its own mathematics, so that its hash
identifies everything that decides a bit.
"""

from __future__ import annotations

from importlib.resources import files

from stemtrial.kernel.lower import Program
from stemtrial.kernel.model import MOST_ARRIVALS, MOST_UNITS, SLOW_DAYS
from stemtrial.kernel.printer import EffectPrinter, Printer
from stemtrial.kernel.random import stream_id

JIT = "@njit(error_model='numpy')"
INLINE = "@njit(error_model='numpy', forceinline=True)"
LANE = "X, l, U, DV, day, lo, hi, step, k0, k1, amounts, LI, LF, LN, who, istep"
"""What the code of one lane gets: block, lane, values by class, counters and key, dose amounts, event log."""
EFFECT = LANE.replace("step, k0", "step, shift, k0", 1)
NO_SHIFT = EFFECT.replace("shift", "np.uint64(0)")


def print_numba(program: Program, width: int = 64) -> str:
    """Source of the kernel module of a program, for blocks of ``width`` patients."""
    m, rows = program.model, program.rows
    group = min(width, 64)
    names = {id(e): f"effect{k}" for k, e in enumerate(program.effects)}
    effects = [
        f"{INLINE}\ndef {names[id(e)]}({EFFECT}):\n{EffectPrinter(program, e).text(4)}\n" for e in program.effects
    ]
    observe = Printer(program, "lane")
    for k, (node, _, _) in enumerate(m.observables.values()):
        text = observe.value(node)
        observe.lines.append(f"O[row, {k}] = {text}")
    daily = Printer(program, "daily")
    for k, node in enumerate(program.daily):
        text = daily.value(node)
        daily.lines.append(f"DV[{k}] = {text}")
    slow = Printer(program, "slow")
    for node in program.steady:
        slow.store(f"steady {node.index}", node)
    doses = [
        f"{'if' if i == 0 else 'elif'} kind == {i}: {names[id(d.effect)]}({NO_SHIFT})"
        for i, d in enumerate(m.doses.values())
    ]
    copies = [f"X[{rows[f'draw {s}']} * LD + l] = X[({rows[f'draw {s} 0']} + phase) * LD + l]" for s in m.streams]
    driver = _DRIVER
    for key, number in {
        "NROWS": len(rows), "NSTATE": len(program.state_names), "NCONST": len(program.constant_names), "GROUP": group,
        "GROUPS": width // group, "ND": max(1, len(program.daily)), "FIRE": rows["fire"],
        "SLOW": SLOW_DAYS * m.steps_per_day, "SPD": m.steps_per_day,
    }.items():  # fmt: skip
        driver = driver.replace(f"%{key}%", str(number))
    parts = [
        files("stemtrial.kernel").joinpath("inline_math.py").read_text(),
        f"W = {width}\nLD = {width + 8}\nNEVER = 1 << 60\n",  # rows padded: rows 2 KiB apart share cache sets
        _RECORD,
        *effects,
        f"{JIT}\ndef slow(X, U, day):\n    wide()\n{slow.loop()}\n",
        f"{JIT}\ndef dense(X, U, DV, day):\n    wide()\n{_dense(program).loop()}\n",
        f"{JIT}\ndef draw(X, LO, HI, quad, k0, k1):\n    wide()\n{_draws(program)}\n",
        f"{JIT}\ndef copy(X, phase):\n    wide()\n{_over_lanes(copies)}\n",
        f"{JIT}\ndef daily(DV, U, day):\n{daily.text(4)}\n",
        f"{JIT}\ndef observe(X, l, U, DV, day, O, row):\n{observe.text(4)}\n",
        f"{INLINE}\ndef rare({LANE}):\n{_lines(_rare(program, names), 4)}\n",
        f"{JIT}\ndef dose(kind, {LANE}):\n{_lines(doses, 4)}\n",
        driver,
    ]
    return "\n".join(parts)


def _lines(lines: list[str], indent: int) -> str:
    return "\n".join(" " * indent + line for line in (lines or ["pass"]))


def _over_lanes(lines: list[str]) -> str:
    return "    for l in range(W):\n" + _lines(lines, 8)


def _dense(program: Program) -> Printer:
    """Every next value from the old ones, in place: a row is overwritten only after its old value is in a register."""
    out = Printer(program, "dense")
    for node in program.stored:
        out.store(f"stored {node.index}", node)
    for name, node in program.model.next.items():
        new = out.value(node)
        out.value(program.model.graph.node("state", name))
        out.lines.append(f"{out.row(f'state {name}')} = {new}")
    out.store("fire", program.fire)
    return out


def _draws(program: Program) -> str:
    """Four days of every daily stream: one Philox call gives four words.

    Words and normals are made in loops of their own, each short enough for the registers.
    """
    mask = "np.uint64(0xFFFFFFFF)"
    out = f"    quad, k0, k1 = quad & {mask}, k0 & {mask}, k1 & {mask}  # 32 bits, so that products are of 32\n"
    for stream, kind in program.model.streams.items():
        q = [f"X[{program.rows[f'draw {stream} {i}']} * LD + l]" for i in range(4)]
        lanes = f"LO[l] & {mask}, HI[l] & {mask}"
        words = [f"w0, w1, w2, w3 = philox({lanes}, quad, np.uint64({stream_id(stream)}), k0, k1)"]
        out += _over_lanes(words + [f"{q[i]} = uniform(w{i})" for i in range(4)]) + "\n"
        if kind == "normal":
            for a, b in ((q[0], q[1]), (q[2], q[3])):
                out += _over_lanes([f"{a}, {b} = box_muller({a}, {b})"]) + "\n"
    return out


def _rare(program: Program, names: dict[int, str]) -> list[str]:
    """Scalar code of one lane whose slack was negative: exact tests, then effects."""
    m = program.model
    out = Printer(program, "lane")
    say = out.lines
    for r in m.removals:
        p, log_stay, odds = (out.value(x) for x in (r.probability, r.log_stay, r.odds))
        say += [
            f"g = {out.row(f'state {r.state}')}",
            f"u = {out.row(f'draw {r.chance.args[0]}')}",
            f"if u < g * {p}:",
            f"    pk = exp(g * {log_stay})",
            "    s = 1.0 - pk",
            "    gone = 0.0",
            "    while u < s and gone < g:",
            "        gone += 1.0",
            f"        pk = pk * ((g - gone + 1.0) / gone * {odds})",
            "        s = s - pk",
            f"    {out.row(f'state {r.state}')} = g - gone",
        ]
    for chance in dict.fromkeys(c.chance for c in m.chances):
        say += [f"e = 1.0 - {out.row(f'draw {chance.args[0]}')}", "bound = 0.0", "fired = False"]
        for c in m.chances:
            if c.chance is chance:
                probability = out.value(c.probability)
                say += [
                    f"bound = bound + {probability}",
                    "if not fired and e < bound:",
                    "    fired = True",
                    f"    {names[id(c.effect)]}({NO_SHIFT})",
                ]
    for a in m.arrivals:
        mean, shrink = out.value(a.mean), "" if a.shrink is None else out.value(a.shrink)
        say += [
            f"u = {out.row(f'draw {a.chance.args[0]}')}",
            f"if 1.0 - u < {mean}:",
            f"    p = exp(-{mean})",
            "    cumulative = p",
            "    n = 0",
            f"    while u > cumulative and n < {MOST_ARRIVALS}:",
            "        n += 1",
            f"        p = p * ({mean} / n)",
            "        cumulative = cumulative + p",
        ]
        if shrink:
            counter = f"lo, hi, step, np.uint64({stream_id(a.name + '.extra')}) + np.uint64(j)"
            say += [
                "    units = 0",
                "    for j in range(n):",
                f"        w0, w1, w2, w3 = philox({counter}, k0, k1)",
                f"        units += 1 + np.int64(log(uniform(w0)) * {shrink})",
                f"    n = min(units, {MOST_UNITS})",
            ]
        blocks = (a.effect.n_words + 3) // 4
        call = EFFECT.replace("shift", f"np.uint64({blocks} * j)")
        say += ["    for j in range(n):", f"        {names[id(a.effect)]}({call})"]
    for h in m.hazards:
        say += [f"if {out.row(f'state {h.threshold}')} < 0.0:", f"    {names[id(h.effect)]}({NO_SHIFT})"]
    return [f"{k} = {v}" for k, v in out.prologue.items()] + say


_RECORD = """
@njit(error_model='numpy')
def record(LI, LF, LN, who, istep, kind, value):
    n = LN[0]
    if n < LI.shape[0]:
        LI[n, 0] = who
        LI[n, 1] = istep
        LI[n, 2] = kind
        LF[n] = value
        LN[0] = n + 1
    else:
        LN[1] += 1
"""

_DRIVER = """
@njit(error_model='numpy', nogil=True)
def run(first, last, order, LO_, HI_, P, S, start, end, U, seed, dose_at, dose_step, dose_kind, dose_amount,
        visit_at, visit_step, O, LI, LF, LN, failed, progress):
    k0 = seed & np.uint64(0xFFFFFFFF)
    k1 = seed >> np.uint64(32)
    raw = np.zeros(%NROWS% * LD + 8)
    X = raw[((64 - raw.ctypes.data % 64) % 64) // 8:]
    DV = np.zeros(%ND%)
    LO = np.zeros(W, np.uint64)
    HI = np.zeros(W, np.uint64)
    who = np.zeros(W, np.int64)
    next_step = np.zeros(W, np.int64)
    dose_next = np.zeros(W, np.int64)
    visit_next = np.zeros(W, np.int64)
    active = np.zeros(%GROUPS%, np.uint64)
    no_amounts = np.zeros(1)
    for b in range(first, last, W):
        if progress[1] != 0:
            return
        n = min(W, last - b)
        t0 = NEVER
        t1 = -NEVER
        for l in range(W):
            i = order[b + min(l, n - 1)]
            who[l] = i
            LO[l] = LO_[i]
            HI[l] = HI_[i]
            for r in range(%NSTATE%):
                X[r * LD + l] = S[r, i]
            for r in range(%NCONST%):
                X[(%NSTATE% + r) * LD + l] = P[r, i]
            dose_next[l] = dose_at[i]
            visit_next[l] = visit_at[i]
            next_step[l] = start[i] if l < n else NEVER
            if l < n:
                t0 = min(t0, start[i])
                t1 = max(t1, end[i])
        for g in range(%GROUPS%):
            active[g] = np.uint64(0)
        for t in range(t0, t1 + 1):
            day = np.float64(t) / %SPD%
            step = np.uint64(t)
            if t % %SLOW% == 0 or t == t0:
                slow(X, U, (t // %SLOW%) * (%SLOW% / %SPD%) + 0.5 * (%SLOW% / %SPD%))
            if t % 4 == 0 or t == t0:
                draw(X, LO, HI, np.uint64(t // 4), k0, k1)
            daily(DV, U, day)
            for g in range(%GROUPS%):
                due = np.uint64(0)
                for l in range(%GROUP%):
                    due |= np.uint64(next_step[g * %GROUP% + l] <= t) << np.uint64(l)
                while due != np.uint64(0):
                    bit = due & (~due + np.uint64(1))
                    l = np.int64(cttz(due)) + g * %GROUP%
                    due &= due - np.uint64(1)
                    i = who[l]
                    if t == start[i]:
                        for r in range(%NSTATE%):
                            X[r * LD + l] = S[r, i]
                        active[g] |= bit
                    while visit_next[l] < visit_at[i + 1] and visit_step[visit_next[l]] < t:
                        visit_next[l] += 1
                    while visit_next[l] < visit_at[i + 1] and visit_step[visit_next[l]] == t:
                        observe(X, l, U, DV, day, O, visit_next[l])
                        visit_next[l] += 1
                    if t >= end[i]:
                        active[g] &= ~bit
                        next_step[l] = NEVER
                        for r in range(%NSTATE%):
                            x = X[r * LD + l]
                            S[r, i] = x
                            if not math.isfinite(x) and failed[i] == 0:
                                failed[i] = r + 1
                        continue
                    while dose_next[l] < dose_at[i + 1] and dose_step[dose_next[l]] < t:
                        dose_next[l] += 1
                    while dose_next[l] < dose_at[i + 1] and dose_step[dose_next[l]] == t:
                        d = dose_next[l]
                        dose(
                            dose_kind[d], X, l, U, DV, day, LO[l], HI[l], step, k0, k1, dose_amount[d], LI, LF, LN, i, t
                        )
                        dose_next[l] += 1
                    upcoming = end[i]
                    if visit_next[l] < visit_at[i + 1]:
                        upcoming = min(upcoming, visit_step[visit_next[l]])
                    if dose_next[l] < dose_at[i + 1]:
                        upcoming = min(upcoming, dose_step[dose_next[l]])
                    next_step[l] = upcoming
            if t == t1:
                break
            copy(X, t % 4)
            dense(X, U, DV, day)
            for g in range(%GROUPS%):
                fired = np.uint64(0)
                for l in range(%GROUP%):
                    fired |= np.uint64(X[%FIRE% * LD + g * %GROUP% + l] < 0.0) << np.uint64(l)
                fired &= active[g]
                while fired != np.uint64(0):
                    l = np.int64(cttz(fired)) + g * %GROUP%
                    fired &= fired - np.uint64(1)
                    rare(X, l, U, DV, day, LO[l], HI[l], step, k0, k1, no_amounts, LI, LF, LN, who[l], t)
        progress[0] += n
"""
