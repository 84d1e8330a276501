"""Lead field and noise levels."""


rule lead_field:
    input:
        config=ancient(rules.config.output),
    output:
        f"{RUN}/eeg/lead_field.nc",
    log:
        f"{RUN}/logs/lead_field.log",
    benchmark:
        f"{RUN}/benchmarks/lead_field.tsv"
    conda:
        "../../envs/cpu.yaml"
    params:
        head=CONFIG.eeg.head.model_dump_json(),
        source=CONFIG.eeg.source.model_dump_json(),
    shell:
        "python {SCRIPTS}/lead_field.py --config {input.config} --out {output} > {log} 2>&1"


rule noise_levels:
    input:
        config=ancient(rules.config.output),
        lead_field=rules.lead_field.output,
        train=train_manifest,
    output:
        f"{RUN}/eeg/{{model}}-noise.nc",
    log:
        f"{RUN}/logs/noise_levels/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/noise_levels/{{model}}.tsv"
    conda:
        "../../envs/cpu.yaml"
    params:
        settings=settings("eeg", "simulation"),
    shell:
        "python {SCRIPTS}/noise_levels.py --config {input.config} --lead-field {input.lead_field}"
        " --train {input.train} --out {output} > {log} 2>&1"
