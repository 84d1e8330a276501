"""The validated configuration and the names of the files; nothing else."""

import json
from pathlib import Path

from jrflow.config.document import Document
from jrflow.config.load import check_files, parse_config

DOCUMENT = Document(Path(workflow.configfiles[-1]))
CONFIG = parse_config(config, DOCUMENT.origin, DOCUMENT.faults)
check_files(CONFIG)

RUN = CONFIG.folder
MODELS = CONFIG.inference.models


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


def manifest(campaign):
    return f"{RUN}/archives/{campaign}.json"


def manifests_of_model(wildcards):
    """Manifests of a model's training and test campaign."""
    model = MODELS[wildcards.model]
    return {"train": manifest(model.train), "test": manifest(model.test)}


def train_manifest(wildcards):
    return manifest(MODELS[wildcards.model].train)
