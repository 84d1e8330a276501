"""From a configuration to results/<run>/report.html: `snakemake` on this machine."""

from snakemake.utils import min_version

min_version("9.0")

# A configuration given on the command line replaces the default one; the two are never merged.
if not workflow.config_settings.configfiles:

    configfile: "config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/resources.smk"
include: "workflow/rules/simulate.smk"
include: "workflow/rules/eeg.smk"
include: "workflow/rules/inference.smk"
include: "workflow/rules/sensitivity.smk"
include: "workflow/rules/report.smk"


onstart:
    warn_of_implausible()
    check_cluster()
    write_effective_config()


onerror:
    print(
        "The run stopped: a step failed. Its name, its command and its log are shown above. Repair what the end of "
        "the log says, then start the same command again: finished steps are kept.",
        file=sys.stderr,
    )


rule all:
    default_target: True
    input:
        f"{RUN}/report.html",
