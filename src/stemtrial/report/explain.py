"""What a disease, a therapy or an endpoint is, told from the objects that compute it.

Nothing here repeats the science: states, rates, jumps and doses come from the composed model, numbers from the register
of parameters, definitions from their records. The result is plain data; the command line prints it as tables or JSON.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from typing import Any

from stemtrial.endpoint import Definition, definitions, find
from stemtrial.errors import InputError, did_you_mean
from stemtrial.kernel.effect import Effect, Log, Set, SetAt, hazard_state
from stemtrial.kernel.model import NEVER, SLOW_DAYS, Model
from stemtrial.parameters import Parameter, registry, standing
from stemtrial.report.explain_cells import cell_parts
from stemtrial.report.formula import formula
from stemtrial.report.words import DISEASES
from stemtrial.therapy import FAMILIES, TherapyInfo, acting_on, catalogue, compose, family_of
from stemtrial.therapy import modelled as _modelled

Explained = dict[str, Any]
_DISEASES = {d: f"{name[:1].upper()}{name[1:]}: a patient as equations" for d, name in DISEASES.items()}


def diseases() -> Mapping[str, str]:
    """Diseases that have a model: name, and what the model is."""
    return _DISEASES


def subjects() -> list[str]:
    """Names that :func:`explain` knows: diseases, therapies, families of therapies, endpoints."""
    return list(dict.fromkeys([*_DISEASES, *catalogue(), *FAMILIES, *definitions()]))


def explain(subject: str) -> Explained:
    """Explain a disease, a therapy, a family of therapies or an endpoint.

    Parameters
    ----------
    subject : str
        ``ms`` or ``als``, a therapy of the catalogue (``natalizumab``), a family (``drugs``) or an endpoint id.

    Returns
    -------
    dict
        ``subject``, ``kind`` (disease, therapy, endpoint), ``title``, and parts by name: a text, a list of texts, or a
        list of rows (dicts with the same keys).

    Raises
    ------
    InputError
        If the name is unknown; the closest names are listed.
    """
    if subject in _DISEASES:
        return _disease(subject)
    if subject in catalogue() or subject in FAMILIES:
        return _therapy(subject)
    if subject in definitions():
        return _endpoint(find(subject))
    holding = [s for s in subjects() if len(subject) > 3 and subject.lower() in s]
    near = f"; did you mean '{holding[0]}'?" if holding else did_you_mean(subject, subjects())
    if "did you mean" not in near:  # of hundreds of names the first dozen would tell nothing
        near = "; valid: ms, als, and what 'stemtrial list therapies' and 'stemtrial list endpoints' name"
    raise InputError(f"'{subject}' is nothing that can be explained{near}")


def modelled(info: TherapyInfo) -> bool:
    """Whether a therapy of the catalogue has a model, so that a protocol that gives it can be run."""
    return info.name in _modelled()


def acts_on(therapy: str) -> list[str]:
    """Diseases on which a therapy of the catalogue acts; none where it has no model."""
    return list(FAMILIES[family_of(therapy)].on) if modelled(catalogue()[therapy]) else []


# -- disease ---------------------------------------------------------------------------------------------------------
def _disease(name: str) -> Explained:
    model = compose(name, acting_on(name)).model
    return {
        "subject": name,
        "kind": "disease",
        "title": _DISEASES[name],
        "about": f"Composed with all its therapies ({', '.join(acting_on(name))}); what is composed but not given "
        "changes nothing.",
        "order_of_a_day": order_of_a_day(model),
        "states": [_state(model, s) for s in model.states],
        "how_states_move": [_flow(model, s) for s in dict.fromkeys(f.state for f in model.flows)],
        "rates_open_to_therapies": [_rate(model, r) for r in model.rates],
        "jumps": _jumps(model),
        "doses": [_dose(model, d) for d in model.doses],
        "observables": [{"name": k, "unit": u, "meaning": m} for k, (_, u, m) in model.observables.items()],
        "constants_of_a_patient": [
            {"name": c.name, "unit": c.unit, "meaning": c.meaning} for c in model.constants.values()
        ],
        "parameters": [_parameter(p) for p in registry().values() if p.name.startswith(f"{name}.")],
    }


def order_of_a_day(model: Model) -> list[str]:
    """Return what happens to one patient in one step of the model, in order, with the names of this model.

    Parameters
    ----------
    model : Model
        A finished model; the order itself is that of ``stemtrial.kernel.model``.
    """
    step = "day" if model.steps_per_day == 1 else f"step of 1/{model.steps_per_day} day"
    moved = [s for s in model.states if s in model.next]
    kept = [s for s in model.states if s not in model.next]
    drawn = ", ".join(f"{stream} ({kind})" for stream, kind in model.streams.items())
    out = [
        f"Visits that are due on this {step} read {len(model.observables)} true values, of the state as the last "
        f"{step} left it; instruments add their error afterwards.",
        f"Doses that are due are given ({len(model.doses)} kinds: {_names(model.doses)}). They set states at once.",
        f"What moves with age ({len(model.slow_nodes)} values) is taken at the middle of the current {SLOW_DAYS} days.",
        f"Random numbers of the {step} are drawn, each from its own named stream: {drawn}.",
        f"Named rates are computed from the old state and multiplied by what therapies ask for: {_names(model.rates)}.",
        f"The next value of {len(moved)} states is computed from the old values of all, so that their order does not "
        f"matter: {_names(moved)}.",
    ]
    for r in model.removals:
        out.append(f"{r.name}: each unit of {r.state} may leave (binomial), on the new values.")
    for c in model.chances:
        out.append(f"{c.name}: happens or not (at most once); {_does(model, c.effect)}.")
    for a in model.arrivals:
        clustered = " in clusters" if a.shrink is not None else ""
        out.append(f"{a.name}: any number may arrive{clustered} (Poisson); each one {_does(model, a.effect)}.")
    for h in model.hazards:
        out.append(
            f"{h.name}: happens if {hazard_state(h.name)} has fallen to 0, which a dose starts; "
            f"{_does(model, h.effect, without=hazard_state(h.name))}."
        )
    out.append(f"States that only doses and jumps change keep their value: {_names(kept)}. The next {step} begins.")
    return out


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _changed(model: Model, effect: Effect) -> list[str]:
    """States that an effect changes, once each; a vector by its first and last member."""
    states = list(model.states)
    out: dict[str, None] = {}
    for s in effect.statements:
        if isinstance(s, Set):
            out[s.state] = None
        elif isinstance(s, SetAt):
            stem = s.first.rpartition("_")[0]
            members = [n for n in states[states.index(s.first) :] if n.rpartition("_")[0] == stem]
            out[f"{s.first} .. {members[-1]}"] = None
    return list(out)


def _logged(effect: Effect) -> list[str]:
    return list(dict.fromkeys(s.kind for s in effect.statements if isinstance(s, Log)))


def _does(model: Model, effect: Effect, without: str = "") -> str:
    changed = [s for s in _changed(model, effect) if s != without]
    parts = [f"changes {', '.join(changed)}"] if changed else []
    parts += [f"may write '{kind}' into the event log" for kind in _logged(effect)]
    return " and ".join(parts) or "changes nothing"


def _state(model: Model, name: str) -> dict[str, Any]:
    s = model.states[name]
    start = None if s.start >= NEVER else s.start
    return {"name": s.name, "unit": s.unit, "meaning": s.meaning, "start": start, "owner": s.owner}


def _flow(model: Model, state: str) -> dict[str, Any]:
    flows = [f for f in model.flows if f.state == state]
    how = "; ".join(f"{f.kind}: {f.text}" if f.text else f.kind for f in flows)
    return {"state": state, "how": how, "next_value": formula(model.next[state]), "owner": flows[0].owner}


def _rate(model: Model, name: str, only: str | None = None) -> dict[str, Any]:
    r = model.rates[name]
    by = [f"{owner}: x ({formula(f)})" for owner, f in r.modifiers if only in (None, owner)]
    value = formula(r.node.args[1])
    return {"name": r.name, "unit": r.unit, "meaning": r.meaning, "value": value, "multiplied_by": by}


def _jumps(model: Model, without: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = [
        {"name": r.name, "kind": "removal", "changes": [r.state], "logs": []} for r in model.removals
    ]
    kinds = (("chance", model.chances), ("arrivals", model.arrivals), ("hazard", model.hazards))
    for kind, jumps in kinds:
        for j in jumps:
            rows.append({"name": j.name, "kind": kind, "changes": _changed(model, j.effect), "logs": _logged(j.effect)})
    return [r for r in rows if r["name"] not in without]


def _dose(model: Model, name: str) -> dict[str, Any]:
    d = model.doses[name]
    changed = [s for s in _changed(model, d.effect) if not s.endswith(".countdown")]
    return {"name": d.name, "meaning": d.meaning, "amounts": list(d.fields), "changes": changed}


def _parameter(p: Parameter) -> dict[str, Any]:
    return {
        "name": p.name,
        "value": p.value,
        "unit": p.unit,
        "standing": standing(p.source),
        "source": p.source,
        "meaning": p.meaning,
    }


# -- therapy ---------------------------------------------------------------------------------------------------------
def _therapy(name: str) -> Explained:
    info = catalogue().get(name)
    out: Explained = {"subject": name, "kind": "therapy", "title": info.label if info else f"Therapy family '{name}'"}
    if info is not None:
        out |= {
            "posology": info.posology,
            "posology_source": info.source,
            "given": {"one_off": "once", "course": "as a course", "continuous": "until stopped"}[info.entry],
            "fields_in_a_protocol": [
                {
                    "field": key,
                    "unit": f.unit,
                    "default": f.default,
                    "allowed": list(f.choices) if f.kind == "choice" else f"{f.minimum:g} to {f.maximum:g}",
                    "meaning": f.meaning,
                    "source": f.source,
                }
                for key, f in info.fields.items()
            ],
        }
        out |= cell_parts(name)
        if not modelled(info):
            has = ", ".join(t.name for t in catalogue().values() if modelled(t))
            out["model"] = (
                f"In the catalogue, but without a model yet: a protocol that gives it cannot run. Modelled: {has}."
            )
            return out
    family = family_of(name) if info else name
    others = set(FAMILIES[family].therapies) - {name} if info else set()
    on = FAMILIES[family].on
    about = inspect.cleandoc(inspect.getmodule(next(iter(on.values()))).__doc__ or "")
    return out | {
        "family": family,
        "about": _plain(about),
        **_by_disease({disease: _composed(disease, family, others) for disease in on}),
        "parameters": [_parameter(p) for p in _parameters_of(family, name, others)],
    }


def _composed(disease: str, family: str, others: set[str]) -> dict[str, list[dict[str, Any]]]:
    """What a family adds to the model of a disease, without the doses of its other therapies."""
    bare, model = compose(disease).model, compose(disease, (family,)).model
    doses = [d for d in model.doses if d not in bare.doses and others.isdisjoint(d.split("."))]
    apart = {f"{family}.{o}{end}" for o in others for end in ("", "_to")}  # what each of the other drugs has of its own
    new = set(model.states) - set(bare.states) - apart
    known = {j["name"] for j in _jumps(bare)}
    rates = [_rate(model, r.name, only=family) for r in model.rates.values() if r.modifiers]
    for r in rates:
        r["multiplied_by"] = [by for by in r["multiplied_by"] if not any(a in _named_in(by) for a in apart)]
    return {
        "states_added": [_state(model, s) for s in model.states if s in new],
        "how_they_move": [_flow(model, s) for s in dict.fromkeys(f.state for f in model.flows) if s in new],
        "rates_multiplied": [r for r in rates if r["multiplied_by"]],
        "doses": [_dose(model, d) for d in doses],
        "harm_and_other_jumps": _jumps(model, frozenset(known)),
        "observables_added": [
            {"name": k, "unit": u, "meaning": m}
            for k, (_, u, m) in model.observables.items()
            if k not in bare.observables
        ],
    }


def _named_in(told: str) -> set[str]:
    """Names in a formula as it is told."""
    return set(re.findall(r"[\w.]+", told))


def _by_disease(found: Mapping[str, dict[str, list[dict[str, Any]]]]) -> dict[str, list[dict[str, Any]]]:
    """Parts of several diseases as one: what is the same in all stands once, and each row says where it holds."""
    if len(found) == 1:
        return next(iter(found.values()))
    out: dict[str, list[dict[str, Any]]] = {}
    for disease, parts in found.items():
        for part, rows in parts.items():
            known = out.setdefault(part, [])
            for row in rows:
                same = next((r for r in known if {k: v for k, v in r.items() if k != "disease"} == row), None)
                if same is None:
                    known.append({"disease": [disease], **row})
                else:
                    same["disease"].append(disease)
    return out


def _parameters_of(family: str, name: str, others: set[str]) -> list[Parameter]:
    """Numbers of a family without those of its other therapies, and harms that are drawn beside the kernel."""
    owners = FAMILIES[family].owners
    mine = [p for p in registry().values() if p.name.startswith(owners) and others.isdisjoint(p.name.split("."))]
    given = {name} if name in catalogue() else set(FAMILIES[family].therapies)
    return mine + [p for p in registry().values() if p.name.startswith("harms.") and p.name.split(".")[-1] in given]


# -- endpoint --------------------------------------------------------------------------------------------------------
def _endpoint(d: Definition) -> Explained:
    doc = _attributes(type(d))
    base = {"id", "label", "citation", "unit", "note", "rule"}
    fields = [
        {"field": k, "value": _shown(v), "meaning": doc.get(k, "")}
        for k, v in d.model_dump(mode="json").items()
        if k not in base
    ]
    return {
        "subject": d.id,
        "kind": "endpoint",
        "title": d.label,
        "about": inspect.cleandoc(type(d).__doc__ or "").partition("\n\n")[0].replace("\n", " "),
        "rule": f"{d.rule} (gives a {d.kind.replace('_', ' ')})",
        "unit": d.unit,
        "citation": d.citation,
        "note": d.note,
        "fields": fields,
    }


def _shown(value: Any) -> Any:
    """EDSS thresholds as people say them; everything else as it is."""
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        lower, parts = "0", []
        for t in value:
            parts.append(f"baseline {lower} to {t['up_to']:g}: change of {t['by']:g}")
            lower = f"above {t['up_to']:g}"
        return "; ".join(parts)
    return value


def _plain(doc: str) -> str:
    """Text of a docstring without its markup, on one line."""
    return " ".join(re.sub(r":\w+:`~?([^`]*)`", r"\1", doc).replace("``", "").split())


def _attributes(kind: type) -> dict[str, str]:
    """Meaning of each field, from the numpydoc sections of a record and its bases."""
    out: dict[str, str] = {}
    for cls in kind.__mro__:
        text = inspect.cleandoc(cls.__doc__ or "")
        section = re.search(r"^Attributes\n-+\n(.*?)(?=\n\n\w[^\n]*\n-+\n|\Z)", text, re.S | re.M)
        for names, body in re.findall(
            r"^(\S[^:\n]*) : [^\n]*\n((?:[ ]+[^\n]*\n?)+)", section[1] if section else "", re.M
        ):
            for name in names.split(", "):
                out.setdefault(name, _plain(body))
    return out
