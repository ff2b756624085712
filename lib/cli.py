"""The command `live-reports`: run a study, render, publish, check, and compare this machine with what is published."""

import argparse
import sys
from pathlib import Path

from lib import paths
from lib.commands import end
from lib.files import parse_yaml
from lib.render import __main__ as render
from lib.render.published import check, publish
from lib.render.receipt import receipt, receipts, told
from lib.report.results import read_results


def main(arguments: list[str] | None = None) -> int:
    """Run one command; a problem that the user can mend is one sentence on stderr and exit code 1."""
    parser = argparse.ArgumentParser(prog="live-reports", description="Run, render, publish and check the reports.")
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="execute a study and write its page")
    run.add_argument("study")
    run.add_argument("--profile", default="quick")
    run.add_argument("--set", dest="changes", nargs="+", action="extend", default=[], metavar="NAME=VALUE", help="parameters")
    run.set_defaults(act=_run)
    compare = commands.add_parser("receipt", help="claims of this machine's runs beside the published ones")
    compare.add_argument("files", nargs="*", type=Path, metavar="RESULTS.json", help="this run's, then the published one")
    compare.add_argument("--profile", help="of build/ and reports/ (default: every one)")
    compare.add_argument("--strict", action="store_true", help="exit code 1 where a verdict changed")
    compare.set_defaults(act=_receipt)
    commands.add_parser("check", help="which committed pages do not match their results").set_defaults(act=_check)
    public = commands.add_parser("publish", help="write page and results into reports/<profile> from a clean, committed run")
    public.add_argument("studies", nargs="*", metavar="STUDY")
    public.add_argument("--profile", default="quick")
    public.set_defaults(act=_publish)
    for added in render.add_commands(commands):
        added.set_defaults(act=render.run)
    chosen = parser.parse_args(arguments)
    return end(lambda: chosen.act(chosen))


def _run(chosen: argparse.Namespace) -> None:
    from lib.execute import execute  # papermill and its kernel client: a second that the other commands need not wait

    overrides = {}
    for change in chosen.changes:
        name, equals, value = change.partition("=")
        if not name or not equals:
            raise ValueError(f"--set takes name=value, such as seed=1, not '{change}'.")
        overrides[name] = parse_yaml(value) if value else ""
    if not execute(chosen.study, chosen.profile, overrides):
        sys.exit(1)  # the failure was told


def _receipt(chosen: argparse.Namespace) -> None:
    if len(chosen.files) not in (0, 2):
        raise ValueError("A receipt compares two files, this run's results.json and the published one, or none to compare all.")
    if chosen.files:
        found = [receipt(*(read_results(file) for file in chosen.files))]
    else:
        profiles = [chosen.profile] if chosen.profile else sorted(f.name for f in paths.REPORTS.glob("*") if f.is_dir())
        found = [r for p in profiles for r in receipts(paths.BUILD / p, paths.REPORTS / p)]
    sys.stdout.write(told(found))
    changed = sum(len(r.of("changed")) for r in found)
    if chosen.strict and changed:
        raise ValueError(f"Verdicts that differ from the published ones: {changed}.")


def _check(chosen: argparse.Namespace) -> None:
    found = check(paths.REPORTS)
    sys.stdout.write("".join(f"{f.said}\n" for f in found if not f.wrong))
    if wrong := [f.said for f in found if f.wrong]:
        raise ValueError("\n".join(wrong))


def _publish(chosen: argparse.Namespace) -> None:
    for file in publish(chosen.profile, chosen.studies):
        sys.stdout.write(f"{file.relative_to(paths.ROOT) if file.is_relative_to(paths.ROOT) else file}\n")


if __name__ == "__main__":
    sys.exit(main())
