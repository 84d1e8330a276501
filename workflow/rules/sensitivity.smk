"""Which parameters matter for what."""


rule sobol:
    input:
        lead_field=rules.lead_field.output,
        campaign=manifest("{campaign}"),
    output:
        indices=f"{RUN}/sensitivity/{{campaign}}.nc",
    log:
        f"{RUN}/logs/sobol/{{campaign}}.log",
    benchmark:
        f"{RUN}/benchmarks/sobol/{{campaign}}.tsv"
    wildcard_constraints:
        campaign="|".join(CONFIG.sensitivity.sobol) or "none",
    resources:
        cluster=CLUSTER_FILE,
        attempt=number_of_attempt,
        expected_s=expected_seconds("sobol", "campaign"),
        expected_bytes=expected_bytes("sobol", "campaign"),
    params:
        settings=settings("sobol"),
        code=code("sobol"),
        jobs=f"{RUN}/logs/jobs/sobol-{{campaign}}",
    message:
        "Sobol indices of campaign {wildcards.campaign}"
    shell:
        command("sobol")


rule one_at_a_time:
    input:
        lead_field=rules.lead_field.output,
        campaign=manifest("{campaign}"),
    output:
        effects=f"{RUN}/sensitivity/{{campaign}}.nc",
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
        settings=settings("one_at_a_time"),
        code=code("one_at_a_time"),
    message:
        "Effects of one parameter at a time, campaign {wildcards.campaign}"
    shell:
        command("one_at_a_time")
