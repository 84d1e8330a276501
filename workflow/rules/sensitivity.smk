"""Which parameters matter for what."""


rule sobol:
    input:
        script=script("sobol"),
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
    conda:
        "../../envs/cpu.yaml"
    resources:
        cluster=CLUSTER_FILE,
        attempt=number_of_attempt,
    params:
        config=CONFIG_FILE,
        settings=settings("sensitivity.channel", "sensitivity.n_bootstrap", "run.seed"),
    shell:
        "python {input.script} --config {params.config} --cluster '{resources.cluster}' --attempt {resources.attempt} --lead-field {input.lead_field}"
        " --campaign {input.campaign} --out {output} > {log} 2>&1"


rule one_at_a_time:
    input:
        script=script("one_at_a_time"),
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
    conda:
        "../../envs/cpu.yaml"
    resources:
        runtime=minutes("one_at_a_time", "campaign"),
        mem_mb=mb("one_at_a_time", "campaign"),
        seat=1,
    params:
        config=CONFIG_FILE,
        settings=settings("sensitivity.channel"),
    shell:
        "python {input.script} --config {params.config} --lead-field {input.lead_field}"
        " --campaign {input.campaign} --out {output} > {log} 2>&1"
