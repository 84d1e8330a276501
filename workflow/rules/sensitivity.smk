"""Which parameters matter for what."""


rule sobol:
    input:
        lead_field=rules.lead_field.output,
        campaign=manifest("{campaign}"),
    output:
        f"{RUN}/sensitivity/{{campaign}}.nc",
    log:
        f"{RUN}/logs/sobol/{{campaign}}.log",
    benchmark:
        f"{RUN}/benchmarks/sobol/{{campaign}}.tsv"
    wildcard_constraints:
        campaign="|".join(CONFIG.sensitivity.sobol) or "none",
    resources:
        cluster=CLUSTER_FILE,
        attempt=number_of_attempt,
    params:
        config=CONFIG_FILE,
        settings=settings("sobol"),
        code=code("sobol"),
    message:
        "Sobol indices of campaign {wildcards.campaign}"
    shell:
        "python {SCRIPTS:q}/sobol.py --config {params.config:q} --cluster '{resources.cluster}' --attempt {resources.attempt} --lead-field {input.lead_field:q}"
        " --campaign {input.campaign:q} --out {output:q} > {log:q} 2>&1"


rule one_at_a_time:
    input:
        lead_field=rules.lead_field.output,
        campaign=manifest("{campaign}"),
    output:
        f"{RUN}/sensitivity/{{campaign}}.nc",
    log:
        f"{RUN}/logs/one_at_a_time/{{campaign}}.log",
    benchmark:
        f"{RUN}/benchmarks/one_at_a_time/{{campaign}}.tsv"
    wildcard_constraints:
        campaign="|".join(CONFIG.sensitivity.one_at_a_time) or "none",
    group:
        together("prepare", "one_at_a_time", "campaign")
    resources:
        runtime=minutes("one_at_a_time", "campaign"),
        mem_mb=mb("one_at_a_time", "campaign"),
        seat=1,
    params:
        config=CONFIG_FILE,
        settings=settings("one_at_a_time"),
        code=code("one_at_a_time"),
    message:
        "Effects of one parameter at a time, campaign {wildcards.campaign}"
    shell:
        "python {SCRIPTS:q}/one_at_a_time.py --config {params.config:q} --lead-field {input.lead_field:q}"
        " --campaign {input.campaign:q} --out {output:q} > {log:q} 2>&1"
