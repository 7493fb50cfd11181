"""Commands and their options. What a command does is imported when it runs, so that ``--help`` is fast."""

from __future__ import annotations

from typing import Annotated

import typer

from stemtrial.errors import InputError, did_you_mean

HELP = (
    "An open laboratory for virtual trials of stem-cell therapy in MS and ALS. "
    "Research software: it gives no advice about a person."
)
FIRST = """\b
First steps:
  stemtrial list protocols
  stemtrial check mist
  stemtrial run mist --replicates 100
"""
LISTS = ("protocols", "therapies", "endpoints", "studies", "claims", "instruments", "parameters", "products", "routes")

app = typer.Typer(
    help=HELP,
    epilog=FIRST,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ProtocolName = Annotated[
    str, typer.Argument(metavar="PROTOCOL", help="A packaged protocol ('mist'), or the path of a YAML file.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on stdout, and nothing else there.")]
Out = Annotated[str | None, typer.Option("--out", "-o", metavar="DIR", help="Run folder; else runs/<protocol>-<id>.")]
Patients = Annotated[int | None, typer.Option(metavar="N", help="Patients of a trial, all arms; else as planned.")]
Replicates = Annotated[int, typer.Option(metavar="R", help="Repetitions of the trial.")]
Drawn = Annotated[
    int | None, typer.Option(metavar="D", help="The first D draws of the posterior; else all, one for 4 replicates.")
]
Point = Annotated[bool, typer.Option("--point", help="All parameters at their point values, not the posterior.")]
Seed = Annotated[int, typer.Option(metavar="S", help="Seed; the same seed gives the same numbers everywhere.")]
Threads = Annotated[int | None, typer.Option(metavar="T", help="Threads, which change no number; else all cores.")]
Keep = Annotated[str | None, typer.Option(metavar="all", help="'all' keeps the patient tables of every replicate.")]


@app.callback(invoke_without_command=True)
def _root(
    ctx: typer.Context, version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False
) -> None:
    if version:
        import importlib.metadata

        print(f"stemtrial {importlib.metadata.version('stemtrial')}")
        raise typer.Exit
    if ctx.invoked_subcommand is None:
        print(ctx.get_help())


@app.command()
def run(
    protocol: ProtocolName,
    out: Out = None,
    patients: Patients = None,
    replicates: Replicates = 1000,
    draws: Drawn = None,
    point: Point = False,
    seed: Seed = 1,
    threads: Threads = None,
    keep: Keep = None,
    json: Json = False,
) -> None:
    """Run a protocol many times: what would that trial show, and what did the published one show?

    Writes a run folder: run.json, estimates.json, tables/*.parquet and report.html.
    """
    from stemtrial.cli.running import Options, run_protocol

    run_protocol(protocol, Options.checked(out, patients, replicates, draws, point, seed, threads, keep, json))


@app.command()
def compare(
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Id of a published study, 'burt2019_mist'.")],
    out: Out = None,
    patients: Patients = None,
    replicates: Replicates = 1000,
    draws: Drawn = None,
    point: Point = False,
    seed: Seed = 1,
    threads: Threads = None,
    keep: Keep = None,
    json: Json = False,
) -> None:
    """Run the protocol that reproduces a published study, and set the two side by side."""
    from stemtrial.cli.running import Options, run_protocol

    options = Options.checked(out, patients, replicates, draws, point, seed, threads, keep, json)
    from stemtrial.predict import protocol_of

    run_protocol(protocol_of(study), options)


@app.command()
def check(protocol: ProtocolName, json: Json = False) -> None:
    """Check a protocol, and say in words what its trial does."""
    from stemtrial.cli.checking import check_protocol

    check_protocol(protocol, json)


@app.command()
def scorecard(
    disease: Annotated[str, typer.Option(metavar="ms|als|all", help="Disease.")] = "all",
    family: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Only a lane (ms-drugs, natural-history, ahsct, cells, als), or a family of therapies (drugs, ahsct, "
            "msc, nsc, opc, astrocyte, treg).",
        ),
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option(metavar="R", help="Repetitions of each trial; else 2 a draw, and 100 with fewer than 25 draws."),
    ] = None,
    draws: Annotated[
        int | None, typer.Option(metavar="D", help="The first D draws of the posterior; else 100.")
    ] = None,
    point: Point = False,
    seed: Seed = 1,
    threads: Threads = None,
    blind: Annotated[
        bool, typer.Option("--blind", help="Predict what nobody has seen, into validation/blind; compare nothing.")
    ] = False,
    every: Annotated[
        bool, typer.Option("--every", help="Also run what nobody reads: context, and outcomes predicted twice.")
    ] = False,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder of the runs; else runs/scorecard-<disease>."),
    ] = None,
    json: Json = False,
) -> None:
    """Predict every study that has a protocol, and natural history, and score that: misses first, coverage, skill.

    Writes scorecard.json, scorecard.html and a run folder for each protocol; a finished protocol is read back. With
    --blind it writes predictions of sealed studies and of trials without results, and overwrites none.
    """
    from stemtrial.cli.running import Options
    from stemtrial.cli.scoring import show_scorecard, size_of

    options = Options.checked(out, None, *size_of(replicates, draws, point), point, seed, threads, None, json)
    raise typer.Exit(show_scorecard(disease, family, blind, every, options))


@app.command()
def readout(
    protocol: ProtocolName,
    reference: Annotated[
        str | None, typer.Option(metavar="ENDPOINT", help="Compare with this definition; else the primary endpoint.")
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="DIR", help="Folder; else runs/readout-<protocol>-<id>.")
    ] = None,
    patients: Patients = None,
    replicates: Replicates = 20,
    draws: Drawn = None,
    point: Point = False,
    seed: Seed = 1,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Read one simulated trial out under every definition side by side, and set the truth beside them.

    Writes readout.json and report.html.
    """
    from stemtrial.cli.reading import show_readout
    from stemtrial.cli.running import Options

    options = Options.checked(out, patients, replicates, draws, point, seed, threads, None, json)
    show_readout(protocol, reference, options)


@app.command()
def estimands(
    protocol: ProtocolName,
    endpoint: Annotated[
        str, typer.Option(metavar="ENDPOINT", help="A change from baseline on a scale that death ends.")
    ] = "alsfrs_r_change",
    at: Annotated[float | None, typer.Option(metavar="YEARS", help="When it is read; else at the last visit.")] = None,
    change: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="Change a parameter; may stand more than once.")
    ] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="DIR", help="Folder; else runs/estimands-<protocol>-<id>.")
    ] = None,
    patients: Patients = None,
    replicates: Replicates = 100,
    draws: Drawn = None,
    point: Point = False,
    seed: Seed = 1,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Estimate a randomised trial under the five ways to treat death (ICH E9(R1)), and set the truth beside each.

    Writes estimands.json and report.html.
    """
    from stemtrial.cli.estimating import show_estimands
    from stemtrial.cli.running import Options

    options = Options.checked(out, patients, replicates, draws, point, seed, threads, None, json)
    show_estimands(protocol, endpoint, at, change or [], options)


@app.command()
def explain(
    subject: Annotated[str, typer.Argument(metavar="ms|als|THERAPY|ENDPOINT", help="'ms', 'als', 'msc', ...")],
    json: Json = False,
) -> None:
    """Explain the disease, a therapy or an endpoint: what is computed, from which numbers, from which source."""
    from stemtrial.cli.showing import explain_subject

    explain_subject(subject, json)


@app.command()
def cohort(
    protocol: Annotated[
        str | None,
        typer.Argument(metavar="[PROTOCOL]", help="A packaged protocol ('mist'), or the path of a YAML file."),
    ] = None,
    disease: Annotated[
        str | None, typer.Option(metavar="ms|als", help="Instead of a protocol: the natural history of a disease.")
    ] = None,
    people: Annotated[int | None, typer.Option(metavar="N", help="People of each kind of onset; 5000.")] = None,
    years: Annotated[int | None, typer.Option(metavar="Y", help="Longest follow-up from onset; 30, of ALS 10.")] = None,
    onset: Annotated[
        str | None, typer.Option(metavar="relapsing|primary|paediatric|all", help="Which kinds of onset of MS; all.")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="S", help="Seed of a natural history; 1.")] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="DIR", help="Folder; else runs/natural_history-<id>.")
    ] = None,
    draws: Drawn = None,
    point: Point = False,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Recruit for a protocol, or let untreated people live from onset (--disease ms|als).

    With a protocol: who is screened, who enters, and how they compare with the published patients. With a disease: its
    natural history (of MS disability, relapses, lesions, atrophy, survival; of ALS survival, spread, stages, function)
    beside the registries.
    """
    from stemtrial.cli.running import check_draws, check_threads

    check_draws(draws, point)
    of_history = {"--people": people, "--years": years, "--onset": onset, "--seed": seed, "--out": out}
    if disease is not None:
        from stemtrial.cli.natural import show_natural_history

        if protocol is not None:
            raise InputError(f"give a protocol or --disease, not both ('{protocol}' and --disease {disease})")
        show_natural_history(disease, people, years, onset, seed, check_threads(threads), out, json, draws, point)
        return
    if protocol is None:
        raise InputError("name a protocol ('stemtrial cohort mist'), or a disease ('stemtrial cohort --disease ms')")
    given = [name for name, value in of_history.items() if value is not None]
    if given:
        raise InputError(f"{given[0]} belongs to a natural history; leave it out, or use --disease without a protocol")
    from stemtrial.cli.checking import show_cohort

    show_cohort(protocol, check_threads(threads), json, draws, point)


@app.command("list")
def list_(
    what: Annotated[str, typer.Argument(metavar="|".join(LISTS), help="What to list.")],
    disease: Annotated[str | None, typer.Option(metavar="ms|als", help="Only what is of that disease.")] = None,
    json: Json = False,
) -> None:
    """List what comes with the package."""
    if what not in LISTS:
        raise InputError(f"there is no list of '{what}'{did_you_mean(what, LISTS)}")
    from stemtrial.cli.showing import show_list

    show_list(what, disease, json)


@app.command()
def evidence(
    endpoint: Annotated[
        str, typer.Argument(metavar="ENDPOINT", help="An endpoint or a term of the evidence: 'neda3', ...")
    ],
    family: Annotated[str | None, typer.Option(metavar="ms|hsct|cells|als", help="Only studies of the family.")] = None,
    statistic: Annotated[str | None, typer.Option(metavar="NAME", help="Only that statistic, 'hazard_ratio'.")] = None,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE.html", help="Write forests and every row as a page.")
    ] = None,
    json: Json = False,
) -> None:
    """Show what published studies say about an endpoint: comparable rows together, pooled where that is honest."""
    from stemtrial.cli.showing import show_evidence

    show_evidence(endpoint, family, statistic, json, out)


@app.command()
def fit(
    block: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only that block, and those it comes after; repeatable.")
    ] = None,
    out: Annotated[str | None, typer.Option("--out", "-o", metavar="DIR", help="Folder; else runs/fit.")] = None,
    members: Annotated[int | None, typer.Option(metavar="J", help="Members of the ensemble; else as planned.")] = None,
    passes: Annotated[int | None, typer.Option(metavar="P", help="Passes over the data; else as planned.")] = None,
    threads: Annotated[
        int | None, typer.Option(metavar="T", help="Processes, which change no number; else all cores.")
    ] = None,
    seed: Seed = 1,
    ship: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Write the posterior there; src/stemtrial/parameters is the package's own."),
    ] = None,
    json: Json = False,
    yes: Annotated[bool, typer.Option("--yes", help="Start without asking.")] = False,
) -> None:
    """Fit the parameters to published studies whose role is fit. Takes hours; tells how many, and asks, first.

    Writes calibration.json and calibration.html, and with --ship posterior.csv and posterior.json. A killed fit goes
    on where it was.
    """
    from stemtrial.cli.fitting import FitOptions, fit_blocks

    fit_blocks(FitOptions.checked(block or [], out, members, passes, threads, seed, ship, json, yes))


@app.command()
def credibility(
    subject: Annotated[
        str | None, typer.Argument(metavar="PROTOCOL|STUDY", help="'mist', a YAML file, or 'burt2019_mist'.")
    ] = None,
    context: Annotated[
        str | None, typer.Option(metavar="FILE.yaml", help="Context of use: question, decision, risk; see --template.")
    ] = None,
    run: Annotated[
        str | None, typer.Option(metavar="DIR", help="A finished run of that protocol; else it is run now.")
    ] = None,
    scorecard: Annotated[
        str | None, typer.Option(metavar="FILE.json", help="scorecard.json of 'stemtrial scorecard'.")
    ] = None,
    fit: Annotated[str | None, typer.Option(metavar="FILE.json", help="calibration.json of 'stemtrial fit'.")] = None,
    template: Annotated[bool, typer.Option("--template", help="Print a context of use to fill in, and leave.")] = False,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE.html", help="The page; else in the folder of the run.")
    ] = None,
    patients: Patients = None,
    replicates: Replicates = 1000,
    draws: Drawn = None,
    point: Point = False,
    seed: Seed = 1,
    threads: Threads = None,
    json: Json = False,
) -> None:
    """Report how credible a prediction is for a context of use: ASME V&V 40, FDA 2023, ICH M15, filled from a run.

    Writes the page, and its data as JSON beside it; what is missing is listed.
    """
    from stemtrial.cli.crediting import print_template, show_credibility

    if template:
        print_template()
        return
    if subject is None:
        raise InputError("name a protocol or a study ('stemtrial credibility mist'), or ask for --template")
    from stemtrial.cli.running import Options

    options = Options.checked(out, patients, replicates, draws, point, seed, threads, None, json)
    show_credibility(subject, context, run, scorecard, fit, options)
