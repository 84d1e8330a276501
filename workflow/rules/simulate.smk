"""The configuration as it is run, and the campaigns."""


rule config:
    output:
        f"{RUN}/config.yaml",
    log:
        f"{RUN}/logs/config.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        content=CONFIG.model_dump_json(),
    shell:
        "python {SCRIPTS}/write_config.py --content {params.content:q} --out {output} > {log} 2>&1"


rule campaign:
    input:
        config=ancient(rules.config.output),
    output:
        f"{RUN}/archives/{{campaign}}.json",
    log:
        f"{RUN}/logs/campaign/{{campaign}}.log",
    benchmark:
        f"{RUN}/benchmarks/campaign/{{campaign}}.tsv"
    conda:
        "../../envs/cpu.yaml"
    threads: campaign_threads
    params:
        settings=campaign_settings,
    shell:
        "jrflow campaign {input.config} {wildcards.campaign} --workers {threads} --out $(dirname {output}) > {log} 2>&1"
