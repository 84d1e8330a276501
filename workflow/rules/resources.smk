"""What each job asks for on a cluster, and which steps share one."""

import logging
import os
import sys
import threading

from snakemake.exceptions import WorkflowError

from jrflow.cluster.console import FailedSteps, Overview, notice_cancelled_jobs
from jrflow.cluster.inheritance import clean_environment
from jrflow.cluster.interrupts import end_children_with_parent
from jrflow.cluster.queue import shared_states
from jrflow.cluster.site import doubts, site_faults, too_short

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
    """Before anything runs: does Slurm accept such jobs at all, and who reports what becomes of them?"""
    end_children_with_parent()
    clean_environment(CLUSTER)
    logging.getLogger("snakemake.logging").addHandler(FailedSteps(give_up))
    if CLUSTER.cluster != "slurm":
        return
    found = [*map(str, site_faults(CLUSTER)), *too_short(CONFIG, CLUSTER, N_REGIONS)]
    for doubt in doubts(CLUSTER):
        print(f"warning: {doubt}", file=sys.stderr)
    if found:
        raise WorkflowError(
            "Slurm would refuse the jobs of this run:\n  "
            + "\n  ".join(found)
            + f"\nChange {CLUSTER_FILE}, or write the profile again: jrflow profile install slurm --force"
        )
    notice_cancelled_jobs()
    answer = Path(RUN) / "logs" / "jobs" / "squeue.txt"
    answer.parent.mkdir(parents=True, exist_ok=True)
    Overview(
        lambda: shared_states(answer, CLUSTER.poll),
        lambda job: job.folder == os.getcwd() and job.belongs_to_a_run,
        Path(RUN) / "logs",
        max(CLUSTER.poll, 10),
    ).start()


def give_up(number):
    """Do not try a job again: it was cancelled, or would fail again in the same way."""

    def use_up_attempts():
        for job in list(workflow.scheduler.running):
            members = job.jobs if job.is_group() else [job]
            if number in {workflow.dag.jobid(each) for each in members}:
                job.attempt = job.restart_times + 1
                # They depend on the attempt; evaluated now, since Snakemake asks where it cannot evaluate them.
                for each in {job, *members}:
                    each.resources

    # In a thread without an event loop, unlike the one that found the failure.
    thread = threading.Thread(target=use_up_attempts)
    thread.start()
    thread.join()


def campaign_group(wildcards):
    """Short campaigns, and the sealing of those that blocks have simulated, share jobs."""
    return "simulate" if REQUESTS.is_short(wildcards.campaign) else None


def together(group, step, wildcard=None):
    """Group of a step that is short enough to share a job, as a function of its wildcards."""
    return lambda wildcards: (
        group
        if REQUESTS.shares_job(STAGES[step], getattr(wildcards, wildcard or "", ""))
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
        STAGES[step], getattr(wildcards, wildcard or "", ""), attempt
    )[0]


def mb(step, wildcard=None):
    """Memory of a step of the analysis, as a function of its wildcards and the attempt."""
    return lambda wildcards, attempt: REQUESTS.analysis(
        STAGES[step], getattr(wildcards, wildcard or "", ""), attempt
    )[1]


def expected_seconds(step, wildcard=None):
    """Expected time of a step that submits jobs itself. It is a resource, because resources repeat nothing."""
    return lambda wildcards: REQUESTS.expected(
        STAGES[step], getattr(wildcards, wildcard or "", "")
    )[0]


def expected_bytes(step, wildcard=None):
    """Expected memory of a step that submits jobs itself."""
    return lambda wildcards: REQUESTS.expected(
        STAGES[step], getattr(wildcards, wildcard or "", "")
    )[1]


def number_of_attempt(wildcards, attempt):
    return attempt
