"""The report."""


rule report:
    input:
        expand(f"{RUN}/archives/{{campaign}}.json", campaign=CONFIG.campaigns),
        expand(
            f"{RUN}/sensitivity/{{campaign}}.nc",
            campaign=[*CONFIG.sensitivity.sobol, *CONFIG.sensitivity.one_at_a_time],
        ),
        expand(f"{RUN}/eeg/{{model}}-noise.nc", model=MODELS),
    output:
        f"{RUN}/report.html",
    log:
        f"{RUN}/logs/report.log",
    conda:
        "../../envs/cpu.yaml"
    shell:
        "python scripts/report.py --run $(dirname {output}) > {log} 2>&1"
