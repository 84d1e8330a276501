"""Training, baselines, scores, limits, and what the models say of recordings."""


rule gold:
    input:
        noise=rules.noise_levels.output,
        test=test_manifest,
    output:
        f"{RUN}/limits/{{model}}-gold.nc",
    log:
        f"{RUN}/logs/gold/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/gold/{{model}}.tsv"
    resources:
        runtime=minutes("gold", "model"),
        mem_mb=mb("gold", "model"),
        seat=1,
    params:
        config=CONFIG_FILE,
        settings=settings("gold"),
        code=code("gold"),
    message:
        "Reference posteriors of {wildcards.model}"
    shell:
        "python {SCRIPTS:q}/gold.py --config {params.config:q} --noise {input.noise:q} --test {input.test:q}"
        " --out {output:q} > {log:q} 2>&1"


rule limits:
    input:
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
    resources:
        runtime=minutes("limits", "model"),
        mem_mb=mb("limits", "model"),
        seat=1,
    params:
        config=CONFIG_FILE,
        settings=settings("limits", "model"),
        code=code("limits"),
        gold="--gold" if CONFIG.limits.posterior_cases else "",
    message:
        "Limits of {wildcards.model}"
    shell:
        "python {SCRIPTS:q}/limits.py --config {params.config:q} --model {wildcards.model}"
        " --noise {input.noise:q} {params.gold} {input.gold:q} --out {output:q} > {log:q} 2>&1"


rule train:
    input:
        noise=noise_of_experiment,
        train=train_manifest,
    output:
        f"{RUN}/models/{{model}}/model.json",
    log:
        f"{RUN}/logs/train/{{model}}.log",
    benchmark:
        f"{RUN}/benchmarks/train/{{model}}.tsv"
    resources:
        cluster=CLUSTER_FILE,
        attempt=number_of_attempt,
    params:
        config=CONFIG_FILE,
        settings=settings("train", "model"),
        code=code("train"),
    message:
        "Training {wildcards.model}"
    shell:
        "python {SCRIPTS:q}/train.py --config {params.config:q} --cluster '{resources.cluster}' --attempt {resources.attempt} --noise {input.noise:q} --train {input.train:q}"
        ' --threads {threads} --out "$(dirname {output:q})" > {log:q} 2>&1'


rule evaluate:
    input:
        unpack(manifests_of_model),
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
    resources:
        runtime=minutes("evaluate", "model"),
        mem_mb=mb("evaluate", "model"),
        seat=1,
    params:
        refine=refined_by_model,
        code=code("evaluate"),
        gold="--gold" if CONFIG.limits.posterior_cases else "",
    message:
        "Scoring {wildcards.model}"
    shell:
        'python {SCRIPTS:q}/evaluate.py --noise {input.noise:q} --model "$(dirname {input.model:q})"'
        " --train {input.train:q} --test {input.test:q} --limits {input.limits:q} --threads {threads}"
        " {params.gold} {input.gold:q} --refine {params.refine} --scores {output.scores:q} --predictions {output.predictions:q} > {log:q} 2>&1"


rule baselines:
    input:
        unpack(manifests_of_model),
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
    resources:
        runtime=minutes("baselines", "model"),
        mem_mb=mb("baselines", "model"),
        seat=1,
    params:
        config=CONFIG_FILE,
        settings=settings("baselines"),
        code=code("baselines"),
    message:
        "Scoring baselines of {wildcards.model}"
    shell:
        "python {SCRIPTS:q}/baselines.py --config {params.config:q} --noise {input.noise:q} --train {input.train:q}"
        " --test {input.test:q} --limits {input.limits:q} --threads {threads} --scores {output:q} > {log:q} 2>&1"


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
        f"{RUN}/evaluation/learning_curve.csv",
    log:
        f"{RUN}/logs/learning_curve.log",
    benchmark:
        f"{RUN}/benchmarks/learning_curve.tsv"
    resources:
        cluster=CLUSTER_FILE,
        attempt=number_of_attempt,
    params:
        config=CONFIG_FILE,
        settings=settings("learning_curve"),
        code=code("learning_curve"),
    message:
        "Learning curve"
    shell:
        "python {SCRIPTS:q}/learning_curve.py --config {params.config:q} --cluster '{resources.cluster}' --attempt {resources.attempt} --noise {input.noise:q}"
        " --train {input.train:q} --test {input.test:q} --threads {threads} --out {output:q} > {log:q} 2>&1"


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
        config=CONFIG_FILE,
        settings=settings("apply"),
        code=code("apply"),
    message:
        "Inferring the recording"
    shell:
        "python {SCRIPTS:q}/apply.py --config {params.config:q} --noise {input.noise:q}"
        ' --model "$(dirname {input.model:q})" --threads {threads}'
        " --estimates {output.estimates:q} --responses {output.responses:q} > {log:q} 2>&1"
