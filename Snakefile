# A page is up to date while its build is newer than notebook, params, data and the lib modules that the notebook imports.
# Stamps stand for the results, because Snakemake deletes the declared outputs of a job before it runs, and the last good
# results and page must survive a failure. See docs/decisions/0002-stamps.md.
import sys

from lib import workflow as sources

PROFILE = config.get("profile", "quick")
STUDIES = str(config.get("studies", " ".join(sources.written()))).split()
PYTHON = sys.executable
PARTS = int(config.get("parts", 1))  # jobs that share the sweep of a study before its notebook runs
SHARED = ("vit_scaling", "noise2noise")
for study in STUDIES:
    sources.check(study, PROFILE)


def sweep_shares(w):
    shares = [f"build/{w.profile}/{w.study}/share-{k}-of-{PARTS}.stamp" for k in range(1, PARTS + 1)]
    return shares if w.study in SHARED and PARTS > 1 else []


rule all:
    input:
        expand("build/{profile}/{study}/rendered.stamp", profile=PROFILE, study=STUDIES),


rule share:
    input:
        lambda w: sources.inputs(w.study, w.profile),
    output:
        "build/{profile}/{study}/share-{k}-of-{n}.stamp",
    shell:
        "{PYTHON} -m lib.studies.{wildcards.study} run --params params/{wildcards.profile}/{wildcards.study}.yaml"
        " --part {wildcards.k}/{wildcards.n} && touch {output}"


rule execute:
    input:
        lambda w: sources.inputs(w.study, w.profile),
        sweep_shares,
    output:
        "build/{profile}/{study}/executed.stamp",
    shell:
        "{PYTHON} -m lib.execute {wildcards.study} --profile {wildcards.profile} --stamp {output}"


rule render:
    input:
        "build/{profile}/{study}/executed.stamp",
        sources.render_sources(),
    output:
        "build/{profile}/{study}/rendered.stamp",
    shell:
        "{PYTHON} -m lib.render page build/{wildcards.profile}/{wildcards.study}/{wildcards.study}.ipynb"
        " reports/{wildcards.profile}/{wildcards.study}.html"
        " && {PYTHON} -m lib.render index reports/{wildcards.profile} && touch {output}"
