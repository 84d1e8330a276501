"""The validated configuration and the names of the files; nothing else."""

import json
from functools import cache
from pathlib import Path

from jrflow.config.cluster import load_cluster
from jrflow.specification import specify
from jrflow.config.commented import commented_yaml
from jrflow.config.document import Document
from jrflow.config.eeg import CovarianceNoise, MontageHead
from jrflow.config.load import check_files, load_connectome, parse_config
from jrflow.config.requests import Requests

DOCUMENT = Document(Path(workflow.configfiles[-1]))
# Not a part of the run's configuration: a profile for a cluster sets it.
CLUSTER_FILE = config.pop("cluster", "")
CHANGED = set(workflow.config_settings.config) - {"cluster"}
CONFIG = parse_config(
    config if CHANGED else DOCUMENT.data,
    DOCUMENT.origin,
    DOCUMENT.faults,
)
CLUSTER = load_cluster(CLUSTER_FILE or None)
check_files(CONFIG)

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


def write_effective_config():
    """Write what is run, every field explained, beside its results; scripts read it there."""
    path = Path(CONFIG_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".partial")
    unfinished.write_text(commented_yaml(CONFIG), encoding="utf-8")
    unfinished.replace(path)


def script(name):
    """An entry point; as an input of its rule, a change of it repeats the step."""
    return f"{workflow.basedir}/scripts/{name}.py"


def settings(*keys):
    """Settings that a step depends on; with them as a parameter it runs again when they change."""
    chosen = {}
    for key in keys:
        value = CONFIG.model_dump(mode="json")
        for step in key.split("."):
            value = value[step]
        chosen[key] = value
    return json.dumps(chosen, sort_keys=True)


@cache
def specification(campaign):
    """What the simulations of a campaign depend on; every one of its jobs asks."""
    return json.dumps(specify(CONFIG, campaign), sort_keys=True)


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


def training_of_model(wildcards):
    """What a model's training depends on, so that a change repeats no other model's."""
    inference = CONFIG.inference
    parts = inference.training_of(wildcards.model), inference.network_of(
        wildcards.model
    )
    return [part.model_dump_json() for part in parts]


def refined_by_model(wildcards):
    """Test simulations whose estimates a model has refined."""
    return MODELS[wildcards.model].refine


def noise_of(model):
    """Noise levels of a model, which those of the same two campaigns share."""
    return f"{RUN}/eeg/{CONFIG.inference.experiment(model)}-noise.nc"


def noise_of_experiment(wildcards):
    return noise_of(wildcards.model)


def gold_of_experiment(wildcards):
    """Exact posteriors, where they are asked for."""
    asked = CONFIG.limits.posterior_cases
    experiment = CONFIG.inference.experiment(wildcards.model)
    return f"{RUN}/limits/{experiment}-gold.nc" if asked else []


def limits_of_experiment(wildcards):
    """Limits of a model, which those of the same two campaigns share."""
    return f"{RUN}/limits/{CONFIG.inference.experiment(wildcards.model)}.nc"


def train_manifest(wildcards):
    return manifest(MODELS[wildcards.model].train)


def test_manifest(wildcards):
    return manifest(MODELS[wildcards.model].test)
