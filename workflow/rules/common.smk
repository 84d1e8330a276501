"""The validated configuration and the names of the files; nothing else."""

import json
from pathlib import Path

from jrflow.config.document import Document
from jrflow.config.load import check_files, parse_config

DOCUMENT = Document(Path(workflow.configfiles[-1]))
CONFIG = parse_config(config, DOCUMENT.origin, DOCUMENT.faults)
check_files(CONFIG)

RUN = CONFIG.folder
SCRIPTS = f"{workflow.basedir}/scripts"
MODELS = CONFIG.inference.models
CURVE = CONFIG.inference.learning_curve
APPLY = CONFIG.inference.apply


wildcard_constraints:
    campaign="|".join(CONFIG.campaigns),
    model="|".join(MODELS) or "none",


def settings(*sections):
    """Sections that a step depends on; with them as a parameter it runs again when they change."""
    content = CONFIG.model_dump(mode="json")
    return json.dumps(
        {section: content[section] for section in sections}, sort_keys=True
    )


def campaign_settings(wildcards):
    """What the simulations of one campaign depend on."""
    from jrflow.campaign import specify

    return json.dumps(specify(CONFIG, wildcards.campaign), sort_keys=True)


def campaign_threads(wildcards):
    """Workers for one campaign: no more than it has shards, and what execution.n_workers says if it does."""
    n_shards = -(-CONFIG.n_simulations(wildcards.campaign) // CONFIG.execution.shard_size)
    return min(n_shards, CONFIG.execution.n_workers or workflow.cores or 1)


def training_settings(wildcards):
    """What the weights of one model depend on, beside its inputs."""
    training = CONFIG.inference.training.model_dump_json(exclude={"checkpoint_every"})
    return f"seed {CONFIG.run.seed}, {training}"


def manifest(campaign):
    return f"{RUN}/archives/{campaign}.json"


def manifests_of_model(wildcards):
    """Manifests of a model's training and test campaign."""
    model = MODELS[wildcards.model]
    return {"train": manifest(model.train), "test": manifest(model.test)}


def train_manifest(wildcards):
    return manifest(MODELS[wildcards.model].train)
