"""The shape of the house: who may import whom, how long a room may be, and what stays outside."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "jrflow"

#: A part imports only what stands in a row above its own; parts of one row do not know one another.
ORDER: tuple[tuple[str, ...], ...] = (
    ("lazy",),
    ("space",),
    ("model",),
    ("config",),
    ("lock", "progress", "provenance"),
    ("design",),
    ("specification", "values"),
    ("archive",),
    ("simulation",),
    ("observe",),
    ("planning",),
    ("campaign", "explanation"),
    ("limits",),
    ("accessor", "inference", "sensitivity"),
    ("report",),
    ("cluster",),
    ("stages",),
    ("cli",),
)
#: Rooms of a part, in the order of their imports; modules beside them may import all.
ROOMS = {"inference": ("data", "networks", "training", "scoring", "recordings")}
RANK = {part: rank for rank, row in enumerate(ORDER) for part in row}
#: What a part may only be imported by, besides scripts/.
ONLY_BY = {"cluster": {"cli", "stages"}, "stages": set[str](), "cli": set[str]()}
#: The model is arrays in, arrays out: no labels, no files, no cluster.
NOT_IN_MODEL = {"dask", "distributed", "h5netcdf", "mne", "pandas", "torch", "xarray", "zarr"}

PICKLES = {"cloudpickle", "dill", "joblib", "marshal", "pickle", "shelve"}
DRAWERS = {"common", "helper", "helpers", "misc", "shared", "stuff", "tools", "util", "utilities", "utils"}
LONGEST = {"src": 400, "scripts": 400, "workflow": 400, "tests": 400, "benchmarks": 400}


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def part_of(path: Path) -> str:
    """First name below the package: 'config' for config/load.py, 'values' for values.py."""
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Full names of the modules a file imports, also within functions and for type checking only."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            assert node.module is not None
            # `from jrflow import cli` imports a part, too
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parts_imported(path: Path) -> set[str]:
    names = [name.split(".") for name in imports(path)]
    return {name[1] for name in names if name[0] == "jrflow" and len(name) > 1 and name[1] in RANK}


def forbidden(part: str, imported: str) -> str | None:
    """Why a part may not import another; None where it may."""
    if part not in RANK:
        return f"{part} has no place in the order"
    if part == imported:
        return None
    if part not in ONLY_BY.get(imported, {part}):
        return f"only {', '.join(sorted(ONLY_BY[imported])) or 'scripts'} may import {imported}"
    if RANK[imported] >= RANK[part]:
        return f"{imported} does not stand before {part}"
    return None


def identifier(path: Path) -> str:
    return str(path.relative_to(ROOT))


MODULES = [path for path in files("src/jrflow") if path != SOURCE / "__init__.py"]


def test_there_is_something_to_look_at() -> None:
    assert {"model", "config", "cli"} <= {part_of(path) for path in MODULES}
    assert "config" in parts_imported(SOURCE / "cli" / "config.py"), "imports within functions are seen"


def test_every_part_has_its_place_in_the_order() -> None:
    assert {part_of(path) for path in MODULES} <= set(RANK)


def test_imports_flow_one_way() -> None:
    offenders = {
        f"{identifier(path)} imports {imported}": reason
        for path in MODULES
        for imported in parts_imported(path)
        if (reason := forbidden(part_of(path), imported))
    }
    assert not offenders


def test_rooms_of_a_part_import_one_way() -> None:
    offenders = []
    for part, rooms in ROOMS.items():
        assert {p.parent.name for p in (SOURCE / part).glob("*/__init__.py")} == set(rooms)
        for path in MODULES:
            place = path.relative_to(SOURCE).parts
            if place[0] != part or len(place) < 3:
                continue
            names = [name.split(".") for name in imports(path)]
            known = rooms[: rooms.index(place[1]) + 1]
            offenders += [
                f"{identifier(path)} imports {'.'.join(name)}"
                for name in names
                if name[:2] == ["jrflow", part] and len(name) > 2 and name[2] not in known
            ]
    assert not offenders


def modules_imported(path: Path) -> set[Path]:
    """Files of the package that a file imports, also within functions and for type checking only."""
    found = set()
    for name in imports(path):
        *parents, last = name.split(".")
        place = SOURCE.parent.joinpath(*parents)
        candidates = place / f"{last}.py", place / last / "__init__.py", place.with_suffix(".py")
        found |= {one for one in (*candidates, place / "__init__.py") if one.exists()} - {path}
    return found - {path.parent / "__init__.py", SOURCE / "__init__.py"}


def test_no_imports_are_circular() -> None:
    graph = {path: modules_imported(path) for path in MODULES if path.name != "__init__.py"}
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
    TopologicalSorter(graph).prepare()  # raises, and names the modules of a cycle


@pytest.mark.parametrize(
    ("part", "imported"),
    [
        ("model", "config"),
        ("limits", "inference"),
        ("report", "cluster"),
        ("archive", "campaign"),
        ("planning", "stages"),
        ("config", "planning"),
    ],
)
def test_the_rule_refuses(part: str, imported: str) -> None:
    assert forbidden(part, imported)


@pytest.mark.parametrize(
    ("part", "imported"),
    [("cli", "cluster"), ("stages", "cluster"), ("report", "observe"), ("config", "model")],
)
def test_the_rule_allows(part: str, imported: str) -> None:
    assert forbidden(part, imported) is None


def test_the_model_knows_no_labels_no_files_and_no_cluster() -> None:
    model = [path for path in MODULES if part_of(path) == "model"]
    assert model
    found = {
        identifier(path): {name.split(".")[0] for name in imports(path)} & NOT_IN_MODEL for path in model
    }
    assert not {path: names for path, names in found.items() if names}


def pickles(path: Path) -> Iterator[str]:
    """Where a file pickles, or may read what was pickled."""
    yield from ({name.split(".")[0] for name in imports(path)} & PICKLES)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Attribute(value=ast.Name(id="torch"), attr="load" | "save" as name):
                yield f"{node.lineno}: torch.{name}"
            case ast.keyword(arg="allow_pickle", value=value):
                if not (isinstance(value, ast.Constant) and value.value is False):
                    yield f"{value.lineno}: allow_pickle"


def test_there_are_no_pickles(tmp_path: Path) -> None:
    found = {identifier(path): list(pickles(path)) for path in files("src", "scripts")}
    assert not {path: places for path, places in found.items() if places}
    bad = tmp_path / "bad.py"
    bad.write_text("import pickle\ntorch.load(path)\nnp.load(path, allow_pickle=True)\n", encoding="utf-8")
    assert len(list(pickles(bad))) == 3, "the rule refuses"


@pytest.mark.parametrize("folder", LONGEST)
def test_no_module_is_too_long(folder: str) -> None:
    rules = (ROOT / folder).rglob("*.smk")
    lengths = {
        identifier(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in [*files(folder), *rules]
    }
    assert not {name: length for name, length in lengths.items() if length > LONGEST[folder]}


def test_the_snakefile_only_includes() -> None:
    assert len((ROOT / "Snakefile").read_text(encoding="utf-8").splitlines()) < 50


def test_no_module_is_a_drawer() -> None:
    paths = files("src", "scripts", "tests", "benchmarks")
    drawers = [path for path in paths if {path.stem, *path.relative_to(ROOT).parts[:-1]} & DRAWERS]
    assert not drawers
