"""compose.yaml starts what the tests were run against, and loses nothing on a restart."""

from pathlib import Path

import yaml

from tests.kafka.broker import IMAGE as KAFKA
from tests.kafka.registry import API
from tests.kafka.registry import IMAGE as REGISTRY
from touchlog.settings import load

ROOT = Path(__file__).parents[2]
SERVICES = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]


def test_the_versions_are_those_of_the_tests():
    assert SERVICES["kafka"]["image"] == KAFKA
    assert SERVICES["registry"]["image"] == REGISTRY


def test_records_and_schemas_are_kept_for_ever():
    kafka, registry = (SERVICES[name] for name in ("kafka", "registry"))

    assert kafka["environment"]["KAFKA_LOG_RETENTION_MS"] == "-1"
    assert [f"kafka:{kafka['environment']['KAFKA_LOG_DIRS']}"] == kafka["volumes"]
    assert registry["environment"]["APICURIO_STORAGE_KIND"] == "kafkasql"


def test_the_projector_waits_for_what_it_needs_and_finds_it():
    projector = SERVICES["projector"]
    command = projector["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))

    assert {name: needed["condition"] for name, needed in projector["depends_on"].items()} == {
        "kafka": "service_healthy",
        "registry": "service_healthy",
    }
    assert f"PLAINTEXT://{options['--log'].removeprefix('kafka://')}" in (
        SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"].split(",")
    )
    assert options["--registry"] == f"http://registry:8080{API}"
    assert any(volume.endswith(":" + str(Path(options["--store"]).parent)) for volume in projector["volumes"])


def test_the_settings_of_the_projector_are_taken():
    command = SERVICES["projector"]["command"]
    options = {name.removeprefix("--"): value for name, value in zip(command[1::2], command[2::2], strict=True)}

    settings = load(None, **options)

    assert str(settings.store) == options["store"]
    assert SERVICES["projector"]["healthcheck"]["test"][-2:] == ["--store", options["store"]]


def test_the_image_holds_every_package():
    copied = {
        line.split()[1] for line in (ROOT / "Dockerfile").read_text(encoding="utf-8").splitlines() if "COPY" in line
    }
    packages = {path.parent.name for path in ROOT.glob("*/py.typed")}

    assert packages <= copied
