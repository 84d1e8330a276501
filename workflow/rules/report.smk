"""The report."""


rule report:
    input:
        archives=expand(f"{RUN}/archives/{{campaign}}.json", campaign=CONFIG.campaigns),
        # A network has no lead field yet.
        lead_field=[] if CONFIG.simulation.connectome else rules.lead_field.output,
        sensitivity=expand(
            f"{RUN}/sensitivity/{{campaign}}.nc",
            campaign=[*CONFIG.sensitivity.sobol, *CONFIG.sensitivity.one_at_a_time],
        ),
        scores=rules.scores.output if MODELS else [],
        learning_curve=rules.learning_curve.output if CURVE else [],
        estimates=rules.apply.output.estimates if APPLY else [],
    output:
        report=f"{RUN}/report.html",
    log:
        f"{RUN}/logs/report.log",
    resources:
        runtime=minutes("report"),
        mem_mb=mb("report"),
    params:
        settings=settings("report"),
        code=code("report"),
    message:
        "Report"
    shell:
        command("report")
