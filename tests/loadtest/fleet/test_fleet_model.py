from __future__ import annotations

from loadtest.fleet.model import Scenario

SMALL = {"scenario": "s", "title": "S", "fleet": {"tcp": {"devices": 2}}, "load": [{"seconds": 3.0, "rate": 1.0}]}


def test_numbers_of_a_scenario() -> None:
    more = {
        **SMALL,
        "fleet": {"tcp": {"devices": 2}, "mqtt": {"devices": 3}, "idle": 10, "faulty": {"deaf": 1, "broken": 1}},
        "load": [{"seconds": 3.0, "rate": 1.0}, {"seconds": 4.0, "rate": 1.0, "to": 2.0}],
    }
    scenario = Scenario.model_validate(more)
    assert scenario.seconds == 7
    assert scenario.fleet.active == 5
    assert scenario.fleet.connections == 17


def test_every_key_says_what_it_is() -> None:
    def undescribed(schema: dict[str, object], path: str) -> list[str]:
        properties = schema.get("properties", {})
        assert isinstance(properties, dict)
        return [f"{path}.{name}" for name, value in properties.items() if not {"description", "$ref"} & value.keys()]

    schema = Scenario.model_json_schema()
    missing = undescribed(schema, "Scenario")
    for name, definition in schema["$defs"].items():
        missing += undescribed(definition, name)
    assert not missing
