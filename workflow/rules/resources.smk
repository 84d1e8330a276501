"""What each job asks for on a cluster, and which steps share one."""

from snakemake.exceptions import WorkflowError

from jrflow.cluster.site import refusals

if CLUSTER.cluster != "in-process":

    # These submit jobs themselves, and wait for them.
    localrules:
        train,
        learning_curve,
        sobol,


if CLUSTER.spreads:

    localrules:
        campaign,


resource_scopes:
    seat="local",


if CLUSTER.cluster == "slurm":
    # One after another: a job's cores are those of its largest step. Said here and not in the profile, whose
    # limits do not reach into the job.
    workflow.register_resource("seat", 1)


def check_cluster():
    """Let Slurm say whether it takes such jobs at all; Snakemake might wait for ever for one that it refuses."""
    against = refusals(CLUSTER) if CLUSTER.cluster == "slurm" else []
    if against:
        raise WorkflowError(
            "Slurm would not take the jobs of this run: "
            + "; ".join(against)
            + f". Change {CLUSTER_FILE}, or write the profile anew: jrflow profile install slurm --force"
        )


def campaign_group(wildcards):
    """Short campaigns, and the sealing of those that blocks have simulated, share jobs."""
    return "simulate" if REQUESTS.is_short(wildcards.campaign) else None


def together(group, step, wildcard=None):
    """Group of a step that is short enough to share a job, as a function of its wildcards."""
    return lambda wildcards: (
        group
        if REQUESTS.shares_job(step, getattr(wildcards, wildcard or "", ""))
        else None
    )


def campaign_minutes(wildcards, attempt):
    return REQUESTS.campaign(wildcards.campaign, attempt)[0]


def campaign_mb(wildcards, attempt):
    return REQUESTS.campaign(wildcards.campaign, attempt)[1]


def block_minutes(wildcards, attempt):
    return REQUESTS.block(wildcards.campaign, attempt)[0]


def block_mb(wildcards, attempt):
    return REQUESTS.block(wildcards.campaign, attempt)[1]


def minutes(step, wildcard=None):
    """Time limit of a step of the analysis, as a function of its wildcards and the attempt."""
    return lambda wildcards, attempt: REQUESTS.analysis(
        step, getattr(wildcards, wildcard or "", ""), attempt
    )[0]


def mb(step, wildcard=None):
    """Memory of a step of the analysis, as a function of its wildcards and the attempt."""
    return lambda wildcards, attempt: REQUESTS.analysis(
        step, getattr(wildcards, wildcard or "", ""), attempt
    )[1]


def number_of_attempt(wildcards, attempt):
    return attempt
