"""The validated configuration and the names of the files; nothing else."""

import sys
from functools import cache
from pathlib import Path

from jrflow.config.cluster import load_cluster
from jrflow.specification import Specification
from jrflow.config.commented import commented_yaml
from jrflow.config.document import Document
from jrflow.config.eeg import CovarianceNoise, MontageHead
from jrflow.config.load import load_connectome, parse_config
from jrflow.planning.requests import Requests
from jrflow.planning.feasibility import parse_checked
from jrflow.planning.plausibility import implausible
from jrflow.stages import STAGES

# Where the entry points are. Rules name them by this variable, not by their path: a clone that is moved or copied
# repeats nothing.
SCRIPTS = f"{workflow.basedir}/scripts"

DOCUMENT = Document(Path(workflow.configfiles[-1]))
# Not a part of the run's configuration: a profile for a cluster sets it.
CLUSTER_FILE = config.pop("cluster", "")
CHANGED = set(workflow.config_settings.config) - {"cluster"}
# Jobs that Snakemake starts read the rules again; what this process has found, they need not look for.
CONFIG = (parse_checked if workflow.is_main_process else parse_config)(
    config if CHANGED else DOCUMENT.data,
    DOCUMENT.origin,
    DOCUMENT.faults,
)
CLUSTER = load_cluster(CLUSTER_FILE or None)

CONNECTOME = load_connectome(CONFIG)
N_REGIONS = 1 if CONNECTOME is None else CONNECTOME.n_regions
REQUESTS = Requests(CONFIG, CLUSTER, N_REGIONS, workflow.cores or 1)

RUN = CONFIG.folder
CONFIG_FILE = f"{RUN}/config.yaml"
MODELS = CONFIG.inference.trainings
# One of all models that share their two campaigns.
EXPERIMENTS = sorted({CONFIG.inference.experiment(model) for model in MODELS})
CURVE = CONFIG.inference.learning_curve
APPLY = CONFIG.inference.apply
HEAD_FILES = [] if isinstance(CONFIG.eeg.head, MontageHead) else [CONFIG.eeg.head.path]
NOISE_FILES = sorted(
    {
        noise.path
        for noise in CONFIG.eeg.noise.values()
        if isinstance(noise, CovarianceNoise)
    }
)


wildcard_constraints:
    campaign="|".join(CONFIG.campaigns),
    model="|".join(MODELS) or "none",
    block=r"\d+",
    n_blocks=r"\d+",


def warn_of_implausible():
    """Say which values are likely to be in another unit."""
    for fault in implausible(CONFIG):
        place = DOCUMENT.origin.place(fault.key)
        print(f"warning: {place}: {fault}", file=sys.stderr)


def write_effective_config():
    """Write what is run, every field explained, beside its results; campaigns and the report read it there."""
    path = Path(CONFIG_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    unfinished.write_text(commented_yaml(CONFIG), encoding="utf-8")
    unfinished.replace(path)


def settings(stage, wildcard=""):
    """Settings that a stage reads; as a parameter of its rule they repeat it when they change."""
    return lambda wildcards: stage_settings(stage, getattr(wildcards, wildcard, ""))


@cache
def stage_settings(stage, name):
    return STAGES[stage].settings(CONFIG, name).text


def code(stage):
    """Hash of a stage's work: a change of it repeats the step, a copy of the clone does not."""
    return STAGES[stage].code


def command(stage):
    """Shell command of a stage."""
    return STAGES[stage].command


@cache
def specification(campaign):
    """What the simulations of a campaign depend on; every one of its jobs asks."""
    return Specification.of(CONFIG, campaign).text


def campaign_settings(wildcards):
    """What the simulations of one campaign depend on."""
    return specification(wildcards.campaign)


def campaign_threads(wildcards):
    """Workers of a job that simulates."""
    return REQUESTS.cores(wildcards.campaign)


def sealing_threads(wildcards):
    """Where blocks have simulated, what is left is sealing; where Dask submits jobs, nothing is left here."""
    left_here = not CLUSTER.spreads and REQUESTS.n_blocks(wildcards.campaign) == 1
    return campaign_threads(wildcards) if left_here else 1


def blocks(wildcards):
    """What the blocks of a campaign leave behind; nothing where one job does it all."""
    n_blocks = REQUESTS.n_blocks(wildcards.campaign)
    folder = f"{RUN}/archives/{wildcards.campaign}.blocks"
    return (
        [f"{folder}/{k}-of-{n_blocks}" for k in range(1, n_blocks + 1)]
        if n_blocks > 1
        else []
    )


def manifest(campaign):
    return f"{RUN}/archives/{campaign}.json"


def manifests_of_model(wildcards):
    """Manifests of a model's training and test campaign."""
    model = MODELS[wildcards.model]
    return {"train": manifest(model.train), "test": manifest(model.test)}


def noise_of(model):
    """Noise levels of a model, which those of the same two campaigns share."""
    return f"{RUN}/eeg/{CONFIG.inference.experiment(model)}-noise.nc"


def noise_of_experiment(wildcards):
    return noise_of(wildcards.model)


def reference_of_experiment(wildcards):
    """Exact posteriors, where they are asked for."""
    asked = CONFIG.limits.posterior_cases
    experiment = CONFIG.inference.experiment(wildcards.model)
    return f"{RUN}/limits/{experiment}-reference.nc" if asked else []


def limits_of_experiment(wildcards):
    """Limits of a model, which those of the same two campaigns share."""
    return f"{RUN}/limits/{CONFIG.inference.experiment(wildcards.model)}.nc"


def train_manifest(wildcards):
    return manifest(MODELS[wildcards.model].train)


def test_manifest(wildcards):
    return manifest(MODELS[wildcards.model].test)
