"""The generated files agree with the models, and every field says what it is."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from jrflow.config.default import default_config
from jrflow.config.load import load_config
from jrflow.config.schema import config_schema, drift, fix, generated, main

ROOT = Path(__file__).parents[2]
SCHEMA: dict[str, Any] = json.loads(config_schema())
SECTIONS = {"Config": SCHEMA} | SCHEMA["$defs"]
FIELDS = [
    (section, name, field)
    for section, definition in SECTIONS.items()
    for name, field in definition.get("properties", {}).items()
    if name != "kind"  # described by its section
]
#: What a number's description must name: its unit, or what makes it one without.
UNIT = re.compile(r"(?<!')\b(s|Hz|mm|mV|dB|1/s|nA m / mV|fraction|the parameter's unit)\b|\(dimensionless\)")
COUNT = re.compile(
    r"\b(number|numbers|simulations|units|samples|consecutive|pulses|times|seed|random)\b", re.IGNORECASE
)


def test_generated_files_are_in_step() -> None:
    difference = drift(ROOT)
    assert not difference, f"run: python -m jrflow.config.schema --fix\n{difference}"


def test_fix_writes_what_the_check_accepts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path)]) == 1
    assert "+# Name, results folder and seed." in capsys.readouterr().out
    assert main(["--root", str(tmp_path), "--fix"]) == 0
    assert main(["--root", str(tmp_path)]) == 0


def test_the_default_file_reads_back_as_the_default(tmp_path: Path) -> None:
    fix(tmp_path)
    assert load_config(tmp_path / "config.yaml") == default_config()


def test_the_default_file_satisfies_the_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(yaml.safe_load(generated()["config.yaml"]), SCHEMA)


@pytest.mark.parametrize("fault", ["run", "priors"])
def test_the_schema_refuses_what_the_models_refuse(fault: str) -> None:
    data = yaml.safe_load(generated()["config.yaml"])
    data[fault] = {"nam": "x"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, SCHEMA)


@pytest.mark.parametrize(("section", "name", "field"), FIELDS)
def test_every_field_is_described(section: str, name: str, field: dict[str, Any]) -> None:
    assert len(field.get("description", "")) > 10, f"{section}.{name} needs a docstring"


@pytest.mark.parametrize(("section", "name", "field"), FIELDS)
def test_every_number_has_a_unit(section: str, name: str, field: dict[str, Any]) -> None:
    types = {option.get("type") for option in (field, *field.get("anyOf", ()))}
    if "number" in types:
        assert UNIT.search(field["description"]), f"{section}.{name}: name the unit"
    elif "integer" in types:
        assert COUNT.search(field["description"]), f"{section}.{name}: say what is counted"


def test_the_default_explains_every_field() -> None:
    text = generated()["config.yaml"]
    explained = {found[1] for found in re.finditer(r"^[ #]*([A-Za-z_]+):", text, re.MULTILINE)}
    assert {name for _, name, _ in FIELDS} <= explained
