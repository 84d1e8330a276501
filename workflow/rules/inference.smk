"""Training, baselines, scores, limits, and what the models say of recordings."""


rule gold:
    input:
        script=script("gold"),
        noise=rules.noise_levels.output,
        test=test_manifest,
    output:
        f"{RUN}/limits/{{model}}-gold.nc",
    log:
        f"{RUN}/logs/gold/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/gold/{{model}}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        runtime=minutes("gold", "model"),
        mem_mb=mb("gold", "model"),
        seat=1,
    params:
        config=CONFIG_FILE,
        settings=settings("limits", "inference.training", "run.seed"),
    shell:
        "python {input.script} --config {params.config} --noise {input.noise} --test {input.test}"
        " --out {output} > {log} 2>&1"


rule limits:
    input:
        script=script("limits"),
        noise=rules.noise_levels.output,
        test=test_manifest,
        gold=rules.gold.output if CONFIG.limits.posterior_cases else [],
    output:
        f"{RUN}/limits/{{model}}.nc",
    log:
        f"{RUN}/logs/limits/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/limits/{{model}}.tsv"
    group:
        # What comes after exact posteriors cannot share a job with what comes before them.
        together(
            "score" if CONFIG.limits.posterior_cases else "prepare", "limits", "model"
        )
    conda:
        "../../envs/cpu.yaml"
    resources:
        runtime=minutes("limits", "model"),
        mem_mb=mb("limits", "model"),
        seat=1,
    params:
        config=CONFIG_FILE,
        settings=settings("limits", "simulation", "run.seed"),
        gold="--gold" if CONFIG.limits.posterior_cases else "",
    shell:
        "python {input.script} --config {params.config} --model {wildcards.model}"
        " --noise {input.noise} {params.gold} {input.gold} --out {output} > {log} 2>&1"


rule train:
    input:
        script=script("train"),
        noise=noise_of_experiment,
        train=train_manifest,
    output:
        f"{RUN}/models/{{model}}/model.json",
    log:
        f"{RUN}/logs/train/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/train/{{model}}.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        cluster=CLUSTER_FILE,
        attempt=number_of_attempt,
    params:
        config=CONFIG_FILE,
        settings=settings("run.seed"),
        training=training_of_model,
    shell:
        "python {input.script} --config {params.config} --cluster '{resources.cluster}' --attempt {resources.attempt} --noise {input.noise} --train {input.train}"
        " --threads {threads} --out $(dirname {output}) > {log} 2>&1"


rule evaluate:
    input:
        unpack(manifests_of_model),
        script=script("evaluate"),
        noise=noise_of_experiment,
        model=rules.train.output,
        limits=limits_of_experiment,
        gold=gold_of_experiment,
    output:
        scores=f"{RUN}/evaluation/{{model}}-scores.csv",
        predictions=f"{RUN}/evaluation/{{model}}-predictions.nc",
    log:
        f"{RUN}/logs/evaluate/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/evaluate/{{model}}.tsv"
    group:
        together("score", "evaluate", "model")
    conda:
        "../../envs/cpu.yaml"
    resources:
        runtime=minutes("evaluate", "model"),
        mem_mb=mb("evaluate", "model"),
        seat=1,
    params:
        refine=refined_by_model,
        gold="--gold" if CONFIG.limits.posterior_cases else "",
    shell:
        "python {input.script} --noise {input.noise} --model $(dirname {input.model})"
        " --train {input.train} --test {input.test} --limits {input.limits} --threads {threads}"
        " {params.gold} {input.gold} --refine {params.refine} --scores {output.scores} --predictions {output.predictions} > {log} 2>&1"


rule baselines:
    input:
        unpack(manifests_of_model),
        script=script("baselines"),
        noise=noise_of_experiment,
        limits=limits_of_experiment,
    output:
        f"{RUN}/evaluation/{{model}}-baselines.csv",
    log:
        f"{RUN}/logs/baselines/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/baselines/{{model}}.tsv"
    group:
        together("score", "baselines", "model")
    conda:
        "../../envs/cpu.yaml"
    resources:
        runtime=minutes("baselines", "model"),
        mem_mb=mb("baselines", "model"),
        seat=1,
    params:
        config=CONFIG_FILE,
        settings=settings("inference.training", "inference.paper_baseline", "run.seed"),
    shell:
        "python {input.script} --config {params.config} --noise {input.noise} --train {input.train}"
        " --test {input.test} --limits {input.limits} --threads {threads} --scores {output} > {log} 2>&1"


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
    conda:
        "../../envs/cpu.yaml"
    shell:
        "awk 'FNR > 1 || NR == 1' {input} > {output} 2> {log}"


rule learning_curve:
    input:
        script=script("learning_curve"),
        noise=noise_of(CURVE.model) if CURVE else [],
        train=manifest(MODELS[CURVE.model].train) if CURVE else [],
        test=manifest(MODELS[CURVE.model].test) if CURVE else [],
    output:
        f"{RUN}/evaluation/learning_curve.csv",
    log:
        f"{RUN}/logs/learning_curve.log",
    benchmark:
        f"{RUN}/benchmarks/learning_curve.tsv"
    conda:
        "../../envs/cpu.yaml"
    resources:
        cluster=CLUSTER_FILE,
        attempt=number_of_attempt,
    params:
        config=CONFIG_FILE,
        settings=settings(
            "inference.learning_curve",
            "inference.networks",
            "run.seed",
        ),
        training=(
            CONFIG.inference.training_of(CURVE.model).model_dump_json()
            if CURVE
            else ""
        ),
    shell:
        "python {input.script} --config {params.config} --cluster '{resources.cluster}' --attempt {resources.attempt} --noise {input.noise}"
        " --train {input.train} --test {input.test} --threads {threads} --out {output} > {log} 2>&1"


rule apply:
    input:
        script=script("apply"),
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
    conda:
        "../../envs/cpu.yaml"
    resources:
        runtime=minutes("apply"),
        mem_mb=mb("apply"),
    params:
        config=CONFIG_FILE,
        settings=settings("inference.apply", "run.seed"),
    shell:
        "python {input.script} --config {params.config} --noise {input.noise}"
        " --model $(dirname {input.model}) --threads {threads}"
        " --estimates {output.estimates} --responses {output.responses} > {log} 2>&1"
