"""A made-up study of realistic size: 80 models of 2 to 30 ms, 200 evaluated, a dozen on the front."""

from dataclasses import replace

import msgspec
import numpy as np

from hytnas_agent.pass_records import EnergyReading, SustainedSeries, SustainedWindow
from hytnas_agent.protocol import DeviceDescription, RuntimeInfo
from hytnas_agent.records import DeviceContext, DeviceIdentity, HealthSnapshot
from hytnas_datasets.label_context import LabelContext
from hytnas_datasets.plan import Task
from hytnas_datasets.plan.profile import DEPTHWISE, Breakdown
from hytnas_datasets.spaces import get_space
from hytnas_datasets.store import LabelQuality
from hytnas_host.report.data import (
    AccuracyTraining,
    CanaryPoint,
    DataSheet,
    DrawnCanary,
    DriftSpell,
    Failure,
    ModelSpread,
    ReportData,
    StageTime,
    VariableCoverage,
)
from hytnas_host.report.load import describe_choices
from hytnas_host.report.passes import EnergyRow, PassData, Profiled, SustainedRow
from hytnas_host.search.picks import pick
from hytnas_host.search.result import Evaluated, Objective, SearchResult, Verification, VerifiedRow
from hytnas_predictors.result import (
    CurvePoint,
    EdgeScore,
    Interval,
    Leaderboard,
    LearningCurve,
    NoiseCeiling,
    OutOfFold,
    Score,
)

MODELS, EVALUATED, FRONT = 80, 200, 12

CONTEXT = DeviceContext(
    board="Example workstation",
    soc="x86-64, 2 cores",
    architecture="x86_64",
    cores=2,
    memory_bytes=8 * 2**30,
    os="Debian GNU/Linux 12",
    kernel="6.1.0",
    runtime="onnxruntime",
    runtime_version="1.31.1",
    runtime_build="cpu",
    threads=1,
    governor="performance",
)
DEVICE = DeviceDescription(
    identity=DeviceIdentity("0123456789abcdef0123", "example"),
    context=CONTEXT,
    runtimes=(RuntimeInfo("onnxruntime", "1.31.1", "cpu", ("onnx",), usable=True),),
    health=HealthSnapshot(at_unix_s=0.0),
    agent_version="0.1.0",
    cpu_model="Example CPU at 3.0 GHz",
)


QUALITY = LabelQuality(
    device_id=DEVICE.identity.device_id,
    name="board",
    afresh=False,
    labels=80,
    valid=0,
    unverified=77,
    not_judged=0,
    disturbed=3,
    absent=("throttling", "temperature"),
    unstable=28,
    untargeted=0,
    stale=0,
    former_speed=0,
    processes=520,
    invalid=41,
    retried=35,
    discarded=0,
    unsteady=0,
    reasons={"other processes took \u2026 of core \u2026": 38, "\u2026 pages were swapped": 4},
    speed_changes=0,
)


def full_report(seed: int = 0) -> ReportData:
    """Every part present."""
    rng = np.random.default_rng(seed)
    space = get_space("hyt")
    names = [space.format(a) for a in space.sample(MODELS + EVALUATED + FRONT, rng)]
    models, searched = names[:MODELS], names[MODELS:]
    latency = np.exp(rng.uniform(np.log(2), np.log(30), MODELS))
    search = _search(searched, rng)
    verification = _verification(search, models, rng)
    shown = {name: describe_choices(space, space.parse(name)) for name in names}
    return ReportData(
        study="example",
        version="0.1.0",
        started="2026-11-21",
        device=DEVICE,
        search=search,
        verification=verification,
        leaderboards=(
            _leaderboard("latency_ms", models, latency, 0.05, rng),
            _leaderboard("accuracy", models[:40], rng.normal(0.72, 0.06, 40), 0.07, rng),
        ),
        spreads=tuple(
            _spread(name, float(y), np.exp(rng.normal(np.log((0.7, 0.9, 1.1)), 0.5)))
            for name, y in zip(models, latency, strict=True)
        ),
        qualities=(QUALITY,),
        canary=(
            DrawnCanary(
                "board",
                tuple(
                    CanaryPoint(2.5 * k, float(6 * (1 + rng.normal(0.004 * k / 8, 0.006)))) for k in range(20)
                ),
            ),
        ),
        stages=(
            StageTime("prepare the agent", 2.1),
            StageTime("collect latency", 421.0),
            StageTime("collect accuracy", 243.5),
            StageTime("leaderboards", 64.0),
            StageTime("search", 88.0),
            StageTime("verify", 131.0),
        ),
        training=AccuracyTraining(
            "short training on scikit-learn digits",
            40,
            5,
            0.021,
            0.1,
            (("Epochs", "4"), ("Resolution", "32 x 32")),
        ),
        sheet=DataSheet(
            facts=(("Networks sampled", "80"), ("Processes", "412"), ("Trainings", "50")),
            outcomes=(("OK", 408), ("TIMEOUT", 3), ("PARITY", 1)),
            failures=(Failure(models[3], "PARITY", "outputs differ by 0.02, allowed 0.001"),),
            coverage=tuple(
                VariableCoverage(
                    v.name,
                    tuple(f"{c:g}" if not isinstance(c, str) else c for c in v.choices),
                    tuple(int(n) for n in rng.multinomial(MODELS, [1 / len(v.choices)] * len(v.choices))),
                )
                for v in space.variables
            ),
        ),
        choices=shown,
        passes=_passes(models, latency, rng),
        settings=(("latency n", "80"), ("seed", "0"), ("constraints", "params <= 3M")),
        environment=(("python", "3.11.2"), ("torch", "2.13.0"), ("onnxruntime", "1.31.1")),
        commands=("hytnas-profile collect latency --n 80 --seed 0", "hytnas-profile search --seed 0"),
    )


def _spread(name: str, median_ms: float, percents: np.ndarray) -> ModelSpread:
    """As a collection with a target of 1.5 % has it."""
    within, between, half = (float(value) for value in percents)
    return ModelSpread(name, median_ms, within, between, half, "UNSTABLE" if half > 1.5 else "OK")


def drifting(data: ReportData) -> ReportData:
    """The study with a spell of drift, and a change of the device's speed that lasted."""

    def points(first: int, last: int, median_ms: float, state: str, level: int) -> list[CanaryPoint]:
        return [CanaryPoint(float(k), median_ms + 0.01 * (k % 3), state, level) for k in range(first, last)]

    series = DrawnCanary(
        "board",
        (
            *points(0, 5, 6.0, "former", 0),
            *points(5, 9, 7.8, "drifted", 0),
            *points(9, 14, 6.0, "former", 0),
            *points(14, 18, 7.2, "drifted", 0),
            *points(18, 22, 7.2, "kept", 1),
        ),
        (DriftSpell(4.2, 8.5, 12), DriftSpell(13.1, 17.5, 1)),
    )
    quality = msgspec.structs.replace(QUALITY, discarded=13, former_speed=31, speed_changes=1)
    return replace(data, canary=(series,), qualities=(quality,))


def _passes(models: list[str], latency: np.ndarray, rng: np.random.Generator) -> PassData:
    """Three profiled models, one of them metered; one throttles after half a minute, one does not."""
    stages = ("stem", "stage1", "stage2", "stage3", "stage4", "stage5", "head")
    convolutional = (DEPTHWISE, "convolution", "activation and sum")
    attentive = (*convolutional, "matrix product", "softmax", "normalisation", "moving data")

    def profiled(name: str, latency_ms: float) -> Profiled:
        shares = rng.dirichlet((1, 6, 5, 8, 6, 5, 1))
        parts = {
            stage: {
                group: float(share * latency_ms * part)
                for group, part in zip(groups, rng.dirichlet([3.0] * len(groups)), strict=True)
            }
            for stage, share in zip(stages, shares, strict=True)
            for groups in [attentive if stage in ("stage3", "stage4", "stage5") else convolutional]
        }
        return Profiled(name, Breakdown(parts, 0.0, 1.5, 30), latency_ms=latency_ms)

    def sustained(name: str, latency_ms: float, hot: float) -> SustainedRow:
        windows = tuple(
            SustainedWindow(
                2.0 * (k + 1),
                100,
                latency_ms * (1 + (hot if k > 15 else 0) + float(rng.normal(0, 0.004))),
                45 + 40 * (1 - float(np.exp(-k / 12))),
            )
            for k in range(60)
        )
        sign = (32.0, "latency") if hot else (None, None)
        return SustainedRow(name, SustainedSeries(windows, latency_ms, latency_ms * (1 + hot), *sign))

    return PassData(
        tuple(profiled(name, float(y)) for name, y in zip(models[:3], latency, strict=False)),
        (EnergyRow(models[0], EnergyReading("ina219 hwmon2", "what it is wired to", 900, 10, 31, 3, 6)),),
        (sustained(models[0], float(latency[0]), 0.3), sustained(models[1], float(latency[1]), 0.0)),
    )


def empty_report() -> ReportData:
    """A study that holds nothing yet."""
    return ReportData(study="empty")


def hostile_report(text: str) -> ReportData:
    """Every string that comes from outside is ``text``."""
    data = full_report()
    assert data.search is not None
    assert data.verification is not None
    return replace(
        data,
        study=text,
        device=DeviceDescription(
            DeviceIdentity(text, text),
            DeviceContext(**{**{f: getattr(CONTEXT, f) for f in CONTEXT.__struct_fields__}, "board": text}),
            (),
            DEVICE.health,
            text,
            text,
        ),
        stages=(StageTime(text, 1.0, text),),
        commands=(text,),
        settings=((text, text),),
        passes=PassData(
            (Profiled(text, Breakdown({text: {"convolution": 1.0}}, 0.0, 0.0, 1)),),
            (EnergyRow(text, EnergyReading(text, text, 1, 1.0, 1.0, 1.0, 1.0)),),
            (SustainedRow(text, SustainedSeries((SustainedWindow(1.0, 1, 1.0),) * 2, 1.0, 1.0, 1.0, text)),),
        ),
        environment=((text, text),),
        training=AccuracyTraining(text, 3),
        sheet=DataSheet(failures=(Failure(text, "CRASH", text),), facts=((text, text),)),
        choices=dict.fromkeys(data.choices, ((text, text),)),
    )


def _search(names: list[str], rng: np.random.Generator) -> SearchResult:
    objectives = (
        Objective("latency_ms", "ms", "min", "xgboost"),
        Objective("accuracy", "fraction", "max", "lightgbm"),
        Objective("params", "parameters", "min", "layer plan"),
    )
    front_x = np.exp(np.linspace(np.log(2.3), np.log(21), FRONT))
    front_y = 0.60 + 0.27 * (1 - np.exp(-np.linspace(0, 3.2, FRONT))) + rng.normal(0, 0.002, FRONT)
    front = [
        Evaluated(name, f"plan-{name}", (float(x), float(y), float(p)), k)
        for k, (name, x, y, p) in enumerate(
            zip(names, front_x, front_y, 25_000 * front_x**1.35 * rng.uniform(0.7, 1.4, FRONT), strict=False)
        )
    ]
    x = np.exp(rng.uniform(np.log(2.6), np.log(30), EVALUATED))
    y = np.interp(x, front_x, front_y) - rng.gamma(2.0, 0.025, EVALUATED)
    others = [
        Evaluated(name, f"plan-{name}", (float(a), float(b), float(30_000 * a)), FRONT + k)
        for k, (name, a, b) in enumerate(zip(names[FRONT:], x, y, strict=True))
    ]
    steps = np.arange(50, EVALUATED + FRONT + 1, 9)
    return SearchResult(
        space="hyt",
        strategy="hyt",
        seed=0,
        task=Task(),
        objectives=objectives,
        constraints=("params <= 3M",),
        reference_point=(32.0, 0.0, 3e6),
        evaluated=(*front, *others),
        front=tuple(front),
        hypervolume=tuple((int(n), float(20 * (1 - 0.35 * np.exp(-(n - 50) / 45)))) for n in steps),
        picks=pick(front, objectives),
        seconds=87.3,
    )


def _verification(search: SearchResult, models: list[str], rng: np.random.Generator) -> Verification:
    rows = []
    for member in search.front:
        measured = member.values[0] * float(np.exp(rng.normal(0.02, 0.05)))
        rows.append(
            VerifiedRow(
                member.architecture,
                "front",
                member.values[0],
                measured,
                measured * 0.988,
                measured * 1.013,
                "OK" if len(rows) != 1 else "UNSTABLE",
            )
        )
    for name, value in zip(models, np.exp(rng.uniform(np.log(3), np.log(28), FRONT)), strict=False):
        measured = float(value * np.exp(rng.normal(0, 0.045)))
        rows.append(
            VerifiedRow(name, "control", float(value), measured, measured * 0.985, measured * 1.014, "OK")
        )
    rows[-1] = VerifiedRow(models[FRONT - 1], "control", 29.0, None, None, None, "TIMEOUT", extrapolated=True)
    return Verification("example", "native", "xgboost", tuple(rows), 0.045, 0.04, -1.9, 0.2, 0.94, 0.88, 0.98)


def _leaderboard(
    target: str, models: list[str], y: np.ndarray, noise: float, rng: np.random.Generator
) -> Leaderboard:
    latency = target == "latency_ms"
    base = 0.91 if latency else 0.41
    scores = tuple(
        Score(
            predictor=name,
            features="physical" if k % 2 == 0 else "one-hot",
            kendall_tau=Interval(
                base - 0.03 * k, base - 0.03 * k - (0.035 if latency else 0.2), base - 0.03 * k + 0.03
            ),
            spearman=base + 0.05 - 0.03 * k,
            rmse=(0.9 + 0.2 * k) if latency else 0.05,
            mape=0.05 + 0.012 * k,
            within_5_percent=0.6 - 0.06 * k,
            within_10_percent=0.9 - 0.06 * k,
            fit_s=0.2 + 0.3 * k,
            predict_us_per_row=4.0 + 3 * k,
            leak_suspected=False,
            better_than_chance=latency or k < 3,
            inside_90_percent=None if k == 3 else 0.9 - 0.2 * k,
            lowest=EdgeScore(0.8 - 0.1 * k, 0.04 + 0.03 * k),
            highest=EdgeScore(0.85 - 0.1 * k, 0.03 + 0.03 * k),
            p_against_best=None if k == 0 else 0.5 / 10**k,
        )
        for k, name in enumerate(("xgboost", "lightgbm", "mlp3", "mlp2"))
    )
    baseline = replace_score(scores[-1], "macs", 0.72 if latency else 0.1)
    predicted = (
        y * np.exp(rng.normal(0, noise, len(y)))
        if latency
        else 0.72 + 0.5 * (y - 0.72) + rng.normal(0, 0.03, len(y))
    )
    return Leaderboard(
        target=target,
        unit="ms" if latency else "fraction",
        space="hyt",
        labels=len(y),
        networks=len(y),
        folds=5,
        repeats=3,
        seed=0,
        context=LabelContext(Task(), device=DEVICE.context if latency else None),
        provenance="80 models, five fresh processes each"
        if latency
        else "short training on scikit-learn digits",
        scores=scores,
        baselines=(baseline,),
        ceiling=NoiseCeiling(
            Interval(0.97, 0.96, 0.98) if latency else Interval(0.78, 0.66, 0.88),
            Interval(0.95, 0.94, 0.97) if latency else Interval(0.62, 0.5, 0.76),
            80 if latency else 5,
            0.9 if latency else 0.021,
            "%" if latency else "accuracy",
        ),
        architectures=tuple(models),
        measured=tuple(float(v) for v in y),
        out_of_fold=tuple(OutOfFold(s.predictor, tuple(float(v) for v in predicted)) for s in scores),
        verdict="xgboost is best, and not distinguishable from lightgbm." if latency else "",
        curves=tuple(_curve(score, k) for k, score in enumerate(scores)),
    )


def _curve(score: Score, k: int) -> LearningCurve:
    """A curve that ends at the score."""
    end = score.kendall_tau.value
    points = []
    for size in (10, 20, 40):
        tau, error = end - (2 + k) / size, score.mape * (1 + 20 / size)
        points.append(
            CurvePoint(size, Interval(tau, tau - 0.05, tau + 0.03), Interval(error, 0.8 * error, 1.3 * error))
        )
    return LearningCurve(score.predictor, tuple(points))


def replace_score(score: Score, name: str, tau: float) -> Score:
    """The score under another name and Kendall tau."""
    fields = {f: getattr(score, f) for f in score.__struct_fields__}
    return Score(**{**fields, "predictor": name, "kendall_tau": Interval(tau, tau - 0.06, tau + 0.05)})
