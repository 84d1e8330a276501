"""Training, baselines, scores, limits, and what the models say of recordings."""


rule reference:
    input:
        noise=rules.noise_levels.output,
        test=test_manifest,
    output:
        reference=f"{RUN}/limits/{{model}}-reference.nc",
    log:
        f"{RUN}/logs/reference/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/reference/{{model}}.tsv"
    resources:
        runtime=minutes("reference", "model"),
        mem_mb=mb("reference", "model"),
        seat=1,
    params:
        settings=settings("reference"),
        code=code("reference"),
    message:
        "Reference posteriors of {wildcards.model}"
    shell:
        command("reference")


rule limits:
    input:
        noise=rules.noise_levels.output,
        test=test_manifest,
        reference=rules.reference.output if CONFIG.limits.posterior_cases else [],
    output:
        limits=f"{RUN}/limits/{{model}}.nc",
    log:
        f"{RUN}/logs/limits/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/limits/{{model}}.tsv"
    group:
        # What comes after exact posteriors cannot share a job with what comes before them.
        together(
            "score" if CONFIG.limits.posterior_cases else "prepare", "limits", "model"
        )
    resources:
        runtime=minutes("limits", "model"),
        mem_mb=mb("limits", "model"),
        seat=1,
    params:
        settings=settings("limits", "model"),
        code=code("limits"),
    message:
        "Limits of {wildcards.model}"
    shell:
        command("limits")


rule train:
    input:
        noise=noise_of_experiment,
        train=train_manifest,
    output:
        model=f"{RUN}/models/{{model}}/model.json",
    log:
        f"{RUN}/logs/train/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/train/{{model}}.tsv"
    resources:
        cluster=CLUSTER_FILE,
        attempt=number_of_attempt,
        expected_s=expected_seconds("train", "model"),
        expected_bytes=expected_bytes("train", "model"),
    params:
        settings=settings("train", "model"),
        code=code("train"),
        jobs=f"{RUN}/logs/jobs/train-{{model}}",
    message:
        "Training {wildcards.model}"
    shell:
        command("train")


rule evaluate:
    input:
        unpack(manifests_of_model),
        noise=noise_of_experiment,
        model=rules.train.output,
        limits=limits_of_experiment,
        reference=reference_of_experiment,
    output:
        scores=f"{RUN}/evaluation/{{model}}-scores.csv",
        predictions=f"{RUN}/evaluation/{{model}}-predictions.nc",
    log:
        f"{RUN}/logs/evaluate/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate/{{model}}.tsv"
    group:
        together("score", "evaluate", "model")
    resources:
        runtime=minutes("evaluate", "model"),
        mem_mb=mb("evaluate", "model"),
        seat=1,
    params:
        settings=settings("evaluate", "model"),
        code=code("evaluate"),
    message:
        "Scoring {wildcards.model}"
    shell:
        command("evaluate")


rule baselines:
    input:
        unpack(manifests_of_model),
        noise=noise_of_experiment,
        limits=limits_of_experiment,
    output:
        scores=f"{RUN}/evaluation/{{model}}-baselines.csv",
    log:
        f"{RUN}/logs/baselines/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/baselines/{{model}}.tsv"
    group:
        together("score", "baselines", "model")
    resources:
        runtime=minutes("baselines", "model"),
        mem_mb=mb("baselines", "model"),
        seat=1,
    params:
        settings=settings("baselines"),
        code=code("baselines"),
    message:
        "Scoring baselines of {wildcards.model}"
    shell:
        command("baselines")


localrules:
    scores,


rule scores:
    input:
        expand(f"{RUN}/evaluation/{{model}}-scores.csv", model=MODELS),
        expand(f"{RUN}/evaluation/{{model}}-baselines.csv", model=EXPERIMENTS),
    output:
        f"{RUN}/evaluation/scores.csv",
    log:
        f"{RUN}/logs/scores.log",
    message:
        "Collecting scores"
    shell:
        "awk 'FNR > 1 || NR == 1' {input:q} > {output:q} 2> {log:q}"


rule learning_curve:
    input:
        noise=noise_of(CURVE.model) if CURVE else [],
        train=manifest(MODELS[CURVE.model].train) if CURVE else [],
        test=manifest(MODELS[CURVE.model].test) if CURVE else [],
    output:
        table=f"{RUN}/evaluation/learning_curve.csv",
    log:
        f"{RUN}/logs/learning_curve.log",
    benchmark:
        f"{RUN}/benchmarks/learning_curve.tsv"
    resources:
        cluster=CLUSTER_FILE,
        attempt=number_of_attempt,
        expected_s=expected_seconds("learning_curve"),
        expected_bytes=expected_bytes("learning_curve"),
    params:
        settings=settings("learning_curve"),
        code=code("learning_curve"),
        jobs=f"{RUN}/logs/jobs/learning-curve",
    message:
        "Learning curve"
    shell:
        command("learning_curve")


rule apply:
    input:
        noise=noise_of(APPLY.model) if APPLY else [],
        model=f"{RUN}/models/{APPLY.model}/model.json" if APPLY else [],
        evoked=APPLY.evoked if APPLY else [],
    output:
        estimates=f"{RUN}/evaluation/estimates.json",
        responses=f"{RUN}/evaluation/responses.nc",
    log:
        f"{RUN}/logs/apply.log",
    benchmark:
        f"{RUN}/benchmarks/apply.tsv"
    resources:
        runtime=minutes("apply"),
        mem_mb=mb("apply"),
    params:
        settings=settings("apply"),
        code=code("apply"),
    message:
        "Inferring the recording"
    shell:
        command("apply")
