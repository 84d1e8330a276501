"""Lead field and noise levels."""


rule lead_field:
    input:
        HEAD_FILES,
    output:
        lead_field=f"{RUN}/eeg/lead_field.nc",
    log:
        f"{RUN}/logs/lead_field.log",
    benchmark:
        f"{RUN}/benchmarks/lead_field.tsv"
    group:
        together("prepare", "lead_field")
    resources:
        runtime=minutes("lead_field"),
        mem_mb=mb("lead_field"),
        seat=1,
    params:
        settings=settings("lead_field"),
        code=code("lead_field"),
    message:
        "Lead field"
    shell:
        command("lead_field")


rule noise_levels:
    input:
        NOISE_FILES,
        lead_field=rules.lead_field.output,
        train=train_manifest,
    output:
        noise=f"{RUN}/eeg/{{model}}-noise.nc",
    log:
        f"{RUN}/logs/noise_levels/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/noise_levels/{{model}}.tsv"
    group:
        together("prepare", "noise_levels", "model")
    resources:
        runtime=minutes("noise_levels", "model"),
        mem_mb=mb("noise_levels", "model"),
        seat=1,
    params:
        settings=settings("noise_levels"),
        code=code("noise_levels"),
    message:
        "Noise levels of {wildcards.model}"
    shell:
        command("noise_levels")
