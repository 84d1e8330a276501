"""The campaigns: each one job, or, with execution.shards_per_block, a design, blocks, and the seal."""


rule design:
    output:
        temp(touch(f"{RUN}/archives/{{campaign}}.blocks/design")),
    log:
        f"{RUN}/logs/campaign/{{campaign}}.design.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        config=CONFIG_FILE,
        settings=campaign_settings,
    shell:
        "jrflow campaign {params.config} {wildcards.campaign} --design --out $(dirname $(dirname {output})) > {log} 2>&1"


rule block:
    input:
        f"{RUN}/archives/{{campaign}}.blocks/design",
    output:
        temp(touch(f"{RUN}/archives/{{campaign}}.blocks/{{block}}-of-{{n_blocks}}")),
    log:
        f"{RUN}/logs/campaign/{{campaign}}.{{block}}-of-{{n_blocks}}.log",
    benchmark:
        f"{RUN}/benchmarks/campaign/{{campaign}}.{{block}}-of-{{n_blocks}}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: campaign_threads
    params:
        config=CONFIG_FILE,
        settings=campaign_settings,
    shell:
        "jrflow campaign {params.config} {wildcards.campaign} --block {wildcards.block}/{wildcards.n_blocks} "
        "--workers {threads} --out $(dirname $(dirname {output})) > {log} 2>&1"


rule campaign:
    input:
        blocks,
    output:
        # Kept while the rule runs: a campaign whose settings have changed is refused, not destroyed.
        update(f"{RUN}/archives/{{campaign}}.json"),
    log:
        f"{RUN}/logs/campaign/{{campaign}}.log",
    benchmark:
        f"{RUN}/benchmarks/campaign/{{campaign}}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: sealing_threads
    params:
        config=CONFIG_FILE,
        settings=campaign_settings,
    shell:
        "jrflow campaign {params.config} {wildcards.campaign} --workers {threads} --out $(dirname {output}) > {log} 2>&1"
