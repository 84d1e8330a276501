"""Which parameters matter for what."""


rule sobol:
    input:
        config=ancient(rules.config.output),
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
    params:
        settings=settings("sensitivity", "run"),
    shell:
        "python {SCRIPTS}/sobol.py --config {input.config} --lead-field {input.lead_field}"
        " --campaign {input.campaign} --out {output} > {log} 2>&1"


rule one_at_a_time:
    input:
        config=ancient(rules.config.output),
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
    conda:
        "../../envs/cpu.yaml"
    params:
        settings=settings("sensitivity"),
    shell:
        "python {SCRIPTS}/one_at_a_time.py --config {input.config} --lead-field {input.lead_field}"
        " --campaign {input.campaign} --out {output} > {log} 2>&1"
