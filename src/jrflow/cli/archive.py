"""jrflow archive: inspect, verify, repair, join and export archives."""

from __future__ import annotations

import argparse
import sys

from jrflow.cli.parts import Commands, Run, add_command, add_group, add_workers, workers


def add_archive(commands: Commands) -> None:
    """Add the group to the command line."""
    parts = add_group(commands, "archive", "inspect, verify, repair, join and export archives")
    _of_store(parts, "info", _info, "describe an archive")
    verify = _of_store(
        parts,
        "verify",
        _verify,
        "check files, simulations and provenance; exit code 1 if the archive is not sound",
    )
    verify.add_argument(
        "--simulate",
        type=int,
        default=0,
        metavar="N",
        help="run N simulations of the archive again and compare them",
    )
    repair = _of_store(parts, "repair", _repair, "recreate the damaged parts of an archive, and only these")
    add_workers(repair, "one for each core")
    repair.add_argument(
        "--reseal",
        action="store_true",
        help="accept results whose last digits differ because package versions have changed",
    )
    add = _of_store(parts, "add", _add, "copy missing shards from other archives of the same campaign")
    add.add_argument("others", nargs="+", metavar="OTHER", help="archives to copy from")
    export = _of_store(parts, "export", _export, "write an archive, or a selection of it, as netCDF or Zarr")
    export.add_argument("out", metavar="OUT", help="file (.nc) or store (.zarr) to write")
    export.add_argument(
        "--query",
        metavar="EXPRESSION",
        help="simulations to write, such as 'A_e > 4 and status == 0'; default: all",
    )


def _of_store(parts: Commands, name: str, run: Run, summary: str) -> argparse.ArgumentParser:
    parser = add_command(parts, name, run, summary)
    parser.add_argument("store", metavar="ARCHIVE", help="<campaign>.zarr: a path or a URL")
    return parser


def _info(arguments: argparse.Namespace) -> int:
    from jrflow.archive.info import info
    from jrflow.archive.paths import place

    print(info(place(arguments.store)))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from jrflow.archive.paths import place
    from jrflow.campaign.verify import verify_archive

    found = verify_archive(place(arguments.store), arguments.simulate)
    for finding in found:
        print(f"{'sound' if finding.sound else 'NOT SOUND':9}  {finding.what}: {finding.text}")
    return 0 if all(finding.sound for finding in found) else 1


def _repair(arguments: argparse.Namespace) -> int:
    from jrflow.archive.paths import place
    from jrflow.campaign.repair import repair_archive
    from jrflow.config.execution import ExecutionConfig

    with workers(ExecutionConfig(), arguments) as map_shards:
        repaired = repair_archive(place(arguments.store), map_shards, arguments.reseal, sys.stderr)
    for name in repaired:
        print(f"repaired {name}")
    print(f"{arguments.store}: {len(repaired)} files repaired; all agree with the manifest")
    return 0


def _add(arguments: argparse.Namespace) -> int:
    from jrflow.archive.merge import join_archives
    from jrflow.archive.paths import place

    others = [place(other) for other in arguments.others]
    pending = join_archives(place(arguments.store), others, sys.stderr)
    if pending:
        print(f"{arguments.store}: {len(pending)} shards are still missing", file=sys.stderr)
        return 1
    print(f"{arguments.store}: complete and sealed")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from jrflow.archive.dataset import export_archive, failed

    written = export_archive(arguments.store, arguments.out, arguments.query)
    n_failed = failed(written)
    note = f", {n_failed} of them failed: use those with status 0" if n_failed else ""
    print(f"{arguments.out}: {written.sizes['sim']} simulations{note}")
    return 0
