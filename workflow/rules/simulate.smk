"""The campaigns: each one job, or a design, blocks, and the seal.

How the work is divided is no part of what the manifest depends on: a run may begin here and go on on a cluster.
"""


localrules:
    simulated,


rule design:
    output:
        temp(touch(f"{RUN}/archives/{{campaign}}.blocks/design")),
    log:
        f"{RUN}/logs/campaign/{{campaign}}.design.log",
    params:
        config=CONFIG_FILE,
        settings=campaign_settings,
    message:
        "Designing campaign {wildcards.campaign}"
    shell:
        'jrflow campaign {params.config:q} {wildcards.campaign} --no-check --design --out "$(dirname "$(dirname {output:q})")" > {log:q} 2>&1'


rule block:
    input:
        f"{RUN}/archives/{{campaign}}.blocks/design",
    output:
        temp(touch(f"{RUN}/archives/{{campaign}}.blocks/{{block}}-of-{{n_blocks}}")),
    log:
        f"{RUN}/logs/campaign/{{campaign}}.{{block}}-of-{{n_blocks}}.log",
    benchmark:
        f"{RUN}/benchmarks/campaign/{{campaign}}.{{block}}-of-{{n_blocks}}.tsv"
    threads: campaign_threads
    resources:
        runtime=block_minutes,
        mem_mb=block_mb,
        scratch=CLUSTER.scratch or "",
    params:
        config=CONFIG_FILE,
        settings=campaign_settings,
    message:
        "Simulating campaign {wildcards.campaign}, part {wildcards.block} of {wildcards.n_blocks}"
    shell:
        "jrflow campaign {params.config:q} {wildcards.campaign} --block {wildcards.block}/{wildcards.n_blocks} "
        '--no-check --wait --workers {threads} --scratch \'{resources.scratch}\' --out "$(dirname "$(dirname {output:q})")" > {log:q} 2>&1'


rule simulated:
    input:
        blocks,
    output:
        temp(touch(f"{RUN}/archives/{{campaign}}.blocks/simulated")),
    log:
        f"{RUN}/logs/campaign/{{campaign}}.simulated.log",
    message:
        "Parts of campaign {wildcards.campaign} are complete"


rule campaign:
    input:
        f"{RUN}/archives/{{campaign}}.blocks/simulated",
    output:
        # Kept while the rule runs: a campaign whose settings have changed is refused, not destroyed.
        update(f"{RUN}/archives/{{campaign}}.json"),
    log:
        f"{RUN}/logs/campaign/{{campaign}}.log",
    benchmark:
        f"{RUN}/benchmarks/campaign/{{campaign}}.tsv"
    group:
        campaign_group
    threads: sealing_threads
    resources:
        runtime=campaign_minutes,
        mem_mb=campaign_mb,
        seat=1,
        scratch=CLUSTER.scratch or "",
        cluster=CLUSTER_FILE if CLUSTER.spreads else "",
        attempt=number_of_attempt,
    params:
        config=CONFIG_FILE,
        settings=campaign_settings,
        jobs=f"{RUN}/logs/jobs/campaign",
    message:
        "Simulating and sealing campaign {wildcards.campaign}"
    shell:
        "jrflow campaign {params.config:q} {wildcards.campaign} --no-check --wait --workers {threads} --attempt {resources.attempt} "
        "--cluster '{resources.cluster}' --jobs {params.jobs:q}-{wildcards.campaign} --scratch '{resources.scratch}' --out \"$(dirname {output:q})\" > {log:q} 2>&1"
