# A page is up to date while its build is newer than notebook, params, data and the lib modules that the notebook imports.
# Stamps stand for the results, because Snakemake deletes the declared outputs of a job before it runs, and the last good
# results and page must survive a failure. See docs/decisions/0002-stamps.md.
# Up to `jobs` jobs run side by side and divide the cores; under Slurm each takes what params/<profile>/slurm.yaml asks for.
import sys

from lib import workflow as sources

PROFILE = config.get("profile", "quick")
STUDIES = str(config.get("studies", " ".join(sources.written(PROFILE)))).split()
SEEDS = sources.seeds(config.get("seeds", 1))  # repeats with other seeds, compared with the first run
PYTHON = sys.executable
JOBS = int(config.get("jobs", 1))
SHARED = ("vit_scaling", "noise2noise")  # whose sweep JOBS jobs share before the notebook runs
ASKED = sources.asked(PROFILE) if config.get("slurm") else {}
THREADS = ASKED.pop("cpus", max(1, workflow.cores // JOBS))
RUN = "{PYTHON} -m lib.execute {wildcards.study} --profile {wildcards.profile} --stamp {output}"
for study in STUDIES:
    sources.check(study, PROFILE)


def sweep_shares(w):
    shares = [f"build/{w.profile}/{w.study}/share-{k}-of-{JOBS}.stamp" for k in range(1, JOBS + 1)]
    return shares if w.study in SHARED and JOBS > 1 else []


wildcard_constraints:
    study="[a-z0-9_]+",
    profile="[a-z]+",
    seed=r"\d+",


localrules:
    all,
    compare,
    render,


rule all:
    input:
        expand("build/{profile}/{study}/rendered.stamp", profile=PROFILE, study=STUDIES),
        expand("build/{profile}/{study}/seed-{seed}/compared.stamp", profile=PROFILE, study=STUDIES, seed=SEEDS),


rule share:
    input:
        lambda w: sources.inputs(w.study, w.profile),
    output:
        "build/{profile}/{study}/share-{k}-of-{n}.stamp",
    threads: THREADS
    resources:
        slots=1,
        **ASKED,
    shell:
        "{PYTHON} -m lib.studies.{wildcards.study} run --params params/{wildcards.profile}/{wildcards.study}.yaml"
        " --part {wildcards.k}/{wildcards.n} && touch {output}"


rule execute:
    input:
        lambda w: sources.inputs(w.study, w.profile),
        sweep_shares,
    output:
        "build/{profile}/{study}/executed.stamp",
    threads: THREADS
    resources:
        slots=1,
        **ASKED,
    shell:
        RUN


rule repeat:
    input:
        lambda w: sources.inputs(w.study, w.profile),
    output:
        "build/{profile}/{study}/seed-{seed}/executed.stamp",
    threads: THREADS
    resources:
        slots=1,
        **ASKED,
    shell:
        RUN + " -p seed {wildcards.seed} -p out_dir build/{wildcards.profile}/{wildcards.study}/seed-{wildcards.seed}"
        " --pages build/{wildcards.profile}/{wildcards.study}/seed-{wildcards.seed}"


rule compare:
    input:
        "build/{profile}/{study}/executed.stamp",
        "build/{profile}/{study}/seed-{seed}/executed.stamp",
        sources.render_sources(),
    output:
        "build/{profile}/{study}/seed-{seed}/compared.stamp",
    resources:
        slots=1,
    shell:
        "{PYTHON} -m lib.render compare build/{wildcards.profile}/{wildcards.study}/results.json"
        " build/{wildcards.profile}/{wildcards.study}/seed-{wildcards.seed}/results.json"
        " reports/{wildcards.profile}/{wildcards.study}.seed-{wildcards.seed}.html && touch {output}"


rule render:
    input:
        "build/{profile}/{study}/executed.stamp",
        sources.render_sources(),
    output:
        "build/{profile}/{study}/rendered.stamp",
    resources:
        slots=1,
    shell:
        "{PYTHON} -m lib.render page build/{wildcards.profile}/{wildcards.study}/{wildcards.study}.ipynb"
        " reports/{wildcards.profile}/{wildcards.study}.html"
        " && {PYTHON} -m lib.render index reports/{wildcards.profile} && touch {output}"
