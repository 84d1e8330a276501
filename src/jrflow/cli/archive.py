"""jrflow archive: look at archives, verify, mend, join and export them."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jrflow.cli.parts import Commands, Run, add_command, add_group, add_workers, workers


def add_archive(commands: Commands) -> None:
    """Add the group to the command line."""
    parts = add_group(commands, "archive", "look at archives, verify, mend, join and export them")
    _of_store(parts, "info", _info, "say what an archive is")
    verify = _of_store(
        parts, "verify", _verify, "check files, simulations, provenance; exit code 1 if not sound"
    )
    verify.add_argument(
        "--simulate", type=int, default=0, metavar="N", help="run N of its simulations again and compare them"
    )
    repair = _of_store(parts, "repair", _repair, "make what is damaged again, and only that")
    add_workers(repair, "one for each core")
    repair.add_argument(
        "--reseal", action="store_true", help="accept new last digits where versions have changed since"
    )
    add = _of_store(parts, "add", _add, "add what other archives have of the same campaign")
    add.add_argument("others", nargs="+", metavar="OTHER", help="archives that are added")
    export = _of_store(parts, "export", _export, "write a selection as netCDF")
    export.add_argument("out", type=Path, metavar="FILE", help="netCDF file to write")
    export.add_argument("--query", metavar="EXPRESSION", help="such as 'A_e > 4 and status == 0'")


def _of_store(parts: Commands, name: str, run: Run, summary: str) -> argparse.ArgumentParser:
    parser = add_command(parts, name, run, summary)
    parser.add_argument("store", metavar="ARCHIVE", help="<campaign>.zarr: a path or a URL")
    return parser


def _info(arguments: argparse.Namespace) -> int:
    from jrflow.archive.info import info
    from jrflow.archive.place import place

    print(info(place(arguments.store)))
    return 0


def _verify(arguments: argparse.Namespace) -> int:
    from jrflow.archive.place import place
    from jrflow.campaign.verify import verify_archive

    found = verify_archive(place(arguments.store), arguments.simulate)
    for finding in found:
        print(f"{'sound' if finding.sound else 'NOT SOUND':9}  {finding.what}: {finding.text}")
    return 0 if all(finding.sound for finding in found) else 1


def _repair(arguments: argparse.Namespace) -> int:
    from jrflow.archive.place import place
    from jrflow.campaign.repair import repair_archive
    from jrflow.config.execution import ExecutionConfig

    with workers(ExecutionConfig(), arguments) as map_shards:
        mended = repair_archive(place(arguments.store), map_shards, arguments.reseal, sys.stderr)
    for name in mended:
        print(f"mended {name}")
    print(f"{arguments.store}: {len(mended)} files mended; all are as the manifest says")
    return 0


def _add(arguments: argparse.Namespace) -> int:
    from jrflow.archive.place import place
    from jrflow.campaign.join import join_archives

    others = [place(other) for other in arguments.others]
    pending = join_archives(place(arguments.store), others, sys.stderr)
    if pending:
        print(f"{arguments.store}: {len(pending)} shards are still missing", file=sys.stderr)
        return 1
    print(f"{arguments.store}: complete and sealed")
    return 0


def _export(arguments: argparse.Namespace) -> int:
    from jrflow.archive.export import export_netcdf

    n = export_netcdf(arguments.store, arguments.out, arguments.query)
    print(f"{arguments.out}: {n} simulations")
    return 0
