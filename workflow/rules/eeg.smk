"""Lead field and noise levels."""


rule lead_field:
    input:
        HEAD_FILES,
        script=script("lead_field"),
    output:
        f"{RUN}/eeg/lead_field.nc",
    log:
        f"{RUN}/logs/lead_field.log",
    benchmark:
        f"{RUN}/benchmarks/lead_field.tsv"
    group:
        together("prepare", "lead_field")
    conda:
        "../../envs/cpu.yaml"
    resources:
        runtime=minutes("lead_field"),
        mem_mb=mb("lead_field"),
        seat=1,
    params:
        config=CONFIG_FILE,
        head=CONFIG.eeg.head.model_dump_json(),
        source=CONFIG.eeg.source.model_dump_json(),
    shell:
        "python {input.script} --config {params.config} --out {output} > {log} 2>&1"


rule noise_levels:
    input:
        NOISE_FILES,
        script=script("noise_levels"),
        lead_field=rules.lead_field.output,
        train=train_manifest,
    output:
        f"{RUN}/eeg/{{model}}-noise.nc",
    log:
        f"{RUN}/logs/noise_levels/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/noise_levels/{{model}}.tsv"
    group:
        together("prepare", "noise_levels", "model")
    conda:
        "../../envs/cpu.yaml"
    resources:
        runtime=minutes("noise_levels", "model"),
        mem_mb=mb("noise_levels", "model"),
        seat=1,
    params:
        config=CONFIG_FILE,
        settings=settings("eeg.noise", "simulation"),
    shell:
        "python {input.script} --config {params.config} --lead-field {input.lead_field}"
        " --train {input.train} --out {output} > {log} 2>&1"
