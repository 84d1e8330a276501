"""The campaigns."""


rule campaign:
    output:
        # Kept while the rule runs: a campaign whose settings have changed is refused, not destroyed.
        update(f"{RUN}/archives/{{campaign}}.json"),
    log:
        f"{RUN}/logs/campaign/{{campaign}}.log",
    benchmark:
        f"{RUN}/benchmarks/campaign/{{campaign}}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: campaign_threads
    params:
        config=CONFIG_FILE,
        settings=campaign_settings,
    shell:
        "jrflow campaign {params.config} {wildcards.campaign} --workers {threads} --out $(dirname {output}) > {log} 2>&1"
