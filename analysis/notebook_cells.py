"""The words and the code of the notebooks: (cell id, source); ids beginning with `md-` are text."""

from __future__ import annotations

Cell = tuple[str, str]

SETUP = """\
import os
import sys
from pathlib import Path

root = next(p for p in [Path.cwd(), *Path.cwd().parents] if (p / "analysis").is_dir())
sys.path.insert(0, str(root))
output_dir = Path(os.environ.get("FLOW3R_OUTPUT_DIR", root / "outputs"))

from analysis.study import Study"""

PLACE = """\
The records are looked for in `outputs/` of this repository, or where the environment variable
`FLOW3R_OUTPUT_DIR` points. An unfinished sweep can be looked at too: it is marked, and nothing is
claimed. Without records the cells say what to run and stay empty."""

ANSWERS = """\
## The answers

Each question was stated in the sweep's YAML, with the smallest difference that matters. It *holds*,
*fails* or is *undecided* by its interval; undecided is not evidence of equality."""

SCORES = """\
## Scores and paired differences

Arms share seeds, data order and test scenes, so differences are paired over both. These intervals
are not corrected for their number: claims are made by the questions above."""

LEARNING = """\
## Learning curves and cost

Validation scenes, mean and range over the seeds. The test scenes are scored once, at the end."""

STATISTICS = """\
## How sure?

Intervals are for new seeds on new scenes, calibrated by resampled studies. The last list says how
many seeds the next study would need."""

FAIR = """\
## Is the comparison fair?

What the run directories show to be the same in every arm, and what is not claimed."""


def _opening(title: str, words: str, sweep: str) -> list[Cell]:
    return [
        (
            "md-title",
            f"# {title}\n\n{words} Make the records with\n\n"
            f"    python sweeps/run.py sweep={sweep}\n\n{PLACE}",
        ),
        ("code-setup", SETUP),
        ("code-open", f'study = Study(output_dir, "{sweep}")\nstudy.runs()'),
        ("md-answers", ANSWERS),
        ("code-answers", "study.verdicts()\nstudy.caveats()"),
    ]


CLOSING: list[Cell] = [
    ("md-learning", LEARNING),
    ("code-learning", 'study.figure("learning", "training")\nstudy.table("cost")'),
    ("md-statistics", STATISTICS),
    ("code-statistics", "study.statistics()"),
    ("md-fair", FAIR),
    ("code-fair", "study.controls()\nstudy.limits()"),
]

FORMULATIONS = [
    *_opening(
        "Which way of predicting flow helps?",
        "Four formulations on one backbone, trained with the same number of steps and of clips per "
        "step, and two controls: the flow loss on labelled clips only, and four times the labels.",
        "formulations",
    ),
    ("code-headline", 'study.figure("headline")'),
    ("md-order", "## The paper's order, pair by pair, and the level of chance"),
    ("code-order", "study.order()"),
    ("md-scores", SCORES),
    (
        "code-scores",
        'study.table("dynamic", "dynamic-differences", "static", "static-differences")\n'
        'study.figure("differences")',
    ),
    (
        "md-scenes",
        "## Scene by scene\n\nOne number per arm hides where it comes from: single scenes, whole "
        "distributions, and how often a run of one arm beats a run of the other.",
    ),
    ("code-scenes", 'study.figure("scenes", "profiles", "improvement")'),
    (
        "md-conditions",
        "## Motion and covisibility\n\nThe paper explains the formulations by what moves: static "
        "and moving pixels apart, then scores against what a scene shows.",
    ),
    (
        "code-conditions",
        'study.table("dynamic-motion", "dynamic-motion-differences")\nstudy.figure("conditions")',
    ),
    *CLOSING,
]

SCALING = [
    *_opening(
        "What is unlabelled video worth?",
        "flow-factored with more and more unlabelled clips, beside `3d-sup` (no flow) and "
        "`3d-sup++` (four times the labels).",
        "scaling",
    ),
    ("code-headline", 'study.figure("headline")'),
    (
        "md-curve",
        "## The curve\n\nScores with every fitted shape, then paired differences to the smallest "
        "count, where what all runs share cancels. The dashed part is what the chosen shape would "
        "mean beyond the data, not a measurement.",
    ),
    ("code-curve", 'study.figure("scaling", "gain")'),
    (
        "md-worth",
        "## Gain, shapes, and what a label is worth\n\nHow many unlabelled clips replace one "
        "labelled clip: where the curve meets the arm with more labels.",
    ),
    ("code-worth", "study.scaling()"),
    ("md-scores", SCORES),
    ("code-scores", 'study.table("dynamic", "dynamic-differences", "static")'),
    *CLOSING,
]

BACKBONES = [
    *_opening(
        "Does it depend on the backbone?",
        "pi3 and VGGT, each with plain supervision, with the flow loss on labelled clips only, and "
        "with unlabelled clips (the paper's Table 5). Every arm is compared with its own "
        "backbone's baseline.",
        "backbones",
    ),
    ("code-headline", 'study.figure("headline")'),
    ("md-scores", SCORES),
    (
        "code-scores",
        'study.table("dynamic", "dynamic-differences", "static", "static-differences")\n'
        'study.figure("differences", "improvement")',
    ),
    (
        "md-families",
        "## All metrics\n\nThe backbones decode geometry differently, so pose, points and depth "
        "are looked at one by one.",
    ),
    ("code-families", 'study.table("pose", "pointmap", "depth")'),
    *CLOSING,
]

TEACHERS = [
    *_opening(
        "Does the gain survive a teacher that makes mistakes?",
        "Unlabelled video has no exact flow: a teacher predicts it. The same arm with exact flow, "
        "with flow of known noise, and with real two-frame teachers, where the sweep has them.",
        "teachers",
    ),
    ("code-headline", 'study.figure("headline")'),
    ("md-scores", SCORES),
    (
        "code-scores",
        'study.table("dynamic", "dynamic-differences")\nstudy.figure("differences", "scenes")',
    ),
    (
        "md-flow",
        "## What was learnt of the flow\n\nThe error of the predicted flow against the truth, and "
        "scores by how much a scene moves: a teacher's mistakes grow with both.",
    ),
    ("code-flow", 'study.table("flow")\nstudy.figure("conditions")'),
    *CLOSING,
]

QUALITATIVE = [
    (
        "md-title",
        "# What do the predictions look like?\n\nScenes chosen by rule, not by eye: where the "
        "paired difference between the headline's arms is best, median and worst. Images, depth, "
        "flow and its error, and the aligned points from above. A sweep draws them at its end; "
        "`python experiments/draw.py --help` draws them for any two arms, and\n\n"
        "    python experiments/draw.py run=outputs/runs/RUN_ID\n\nfor one run. " + PLACE,
    ),
    ("code-setup", SETUP),
    (
        "code-open",
        "from analysis.study import sweeps_in\n\n"
        'studies = [Study(output_dir, name) for name in sweeps_in(output_dir) or ["formulations"]]',
    ),
    ("md-pictures", "## The headline's arms side by side"),
    ("code-pictures", "for study in studies:\n    study.pictures()"),
    (
        "md-scenes",
        "## Where these scenes stand among all\n\nThree scenes are an illustration. Every test "
        "scene, averaged over the seeds:",
    ),
    ("code-scenes", 'for study in studies:\n    study.figure("scenes")'),
]

YOUR_OWN = [
    (
        "md-title",
        "# Your own study\n\nAny sweep can be looked at like the shipped ones. A sweep is a YAML "
        "file in `experiments/configs/sweep/` with arms (lists of overrides), a baseline, a "
        "headline and questions (`sweeps/planning/questions.py` describes them). Write it, then\n\n"
        "    python sweeps/run.py sweep=NAME dry_run=true\n"
        "    python sweeps/run.py sweep=NAME\n\n"
        "The notebook opens the sweep that the environment variable `FLOW3R_SWEEP` names, or the "
        f"first one it finds. {PLACE}",
    ),
    ("code-setup", SETUP),
    (
        "code-open",
        "from analysis.study import sweeps_in\n\n"
        "found = sweeps_in(output_dir)\n"
        "print(f\"sweeps in {output_dir}: {', '.join(found) or 'none'}\")\n"
        'name = os.environ.get("FLOW3R_SWEEP", found[0] if found else "formulations")\n'
        "study = Study(output_dir, name)\nstudy.runs()",
    ),
    ("md-answers", ANSWERS),
    ("code-answers", "study.verdicts()\nstudy.caveats()"),
    ("code-figures", 'study.figure("headline", "differences")'),
    (
        "md-table",
        "## The tidy table\n\nOne row per run, benchmark, scene and metric, with the arm, the seed "
        "and the cost of the run. Everything in the report comes from it.",
    ),
    (
        "code-table",
        "if study.records is not None:\n"
        "    scores = study.records.scores\n"
        "    display(scores.head())\n"
        '    keys = ["benchmark", "metric", "arm"]\n'
        '    means = scores.groupby(keys, observed=True)["value"].mean()\n'
        '    display(means.unstack("metric").round(3))',
    ),
    (
        "md-difference",
        "## A comparison that nobody asked for\n\nPaired over seeds and scenes, with the report's "
        "interval. It is a look: a claim needs a question that was stated before the runs.",
    ),
    (
        "code-difference",
        "from analysis.records import score_matrices\n"
        "from analysis.statistics import estimate\n\n"
        "if study.records is not None:\n"
        "    asked = study.records.plan.headline\n"
        "    arms = [asked.arm, asked.baseline]\n"
        "    for metric in asked.metrics:\n"
        "        values, seeds, scenes = score_matrices("
        "study.records, arms, asked.benchmark, metric)\n"
        "        if seeds:\n"
        "            print(metric, estimate(values[0] - values[1]))",
    ),
    (
        "md-trace",
        "## Back to the runs\n\nEvery number can be traced to its runs and scenes:\n\n"
        "    python analysis/trace.py sweep=NAME arm=ARM baseline=ARM benchmark=dynamic "
        "metric=auc_30",
    ),
    *CLOSING,
]

NOTEBOOKS: dict[str, list[Cell]] = {
    "formulations": FORMULATIONS,
    "scaling": SCALING,
    "backbones": BACKBONES,
    "teachers": TEACHERS,
    "qualitative": QUALITATIVE,
    "your_own_study": YOUR_OWN,
}
