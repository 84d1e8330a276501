"""The validated configuration and the names of the files; nothing else."""

import json
from pathlib import Path

from jrflow.specification import specify
from jrflow.config.commented import commented_yaml
from jrflow.config.document import Document
from jrflow.config.eeg import CovarianceNoise, MontageHead
from jrflow.config.load import check_files, load_connectome, parse_config
from jrflow.config.shards import block_count, shard_count

DOCUMENT = Document(Path(workflow.configfiles[-1]))
CONFIG = parse_config(
    config if workflow.config_settings.config else DOCUMENT.data,
    DOCUMENT.origin,
    DOCUMENT.faults,
)
check_files(CONFIG)

CONNECTOME = load_connectome(CONFIG)
N_REGIONS = 1 if CONNECTOME is None else CONNECTOME.n_regions

RUN = CONFIG.folder
CONFIG_FILE = f"{RUN}/config.yaml"
MODELS = CONFIG.inference.models
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


def campaign_settings(wildcards):
    """What the simulations of one campaign depend on."""
    return json.dumps(specify(CONFIG, wildcards.campaign), sort_keys=True)


def campaign_threads(wildcards):
    """Workers for one job: no more than it has shards, and what execution.n_workers says if it does."""
    n_shards = shard_count(CONFIG, wildcards.campaign, N_REGIONS)
    n_shards = min(n_shards, CONFIG.execution.shards_per_block or n_shards)
    return min(n_shards, CONFIG.execution.n_workers or workflow.cores or 1)


def sealing_threads(wildcards):
    """Where blocks have simulated, what is left is sealing."""
    return 1 if blocks(wildcards) else campaign_threads(wildcards)


def blocks(wildcards):
    """What the blocks of a campaign leave behind; nothing where one job does it all."""
    n_blocks = block_count(CONFIG, wildcards.campaign, N_REGIONS)
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


def train_manifest(wildcards):
    return manifest(MODELS[wildcards.model].train)


def test_manifest(wildcards):
    return manifest(MODELS[wildcards.model].test)
