"""Bundled things win over those of entry points, and broken ones are named when they are asked for."""

from importlib.metadata import EntryPoint
from typing import Any

import pytest

from hytnas_agent import registry
from hytnas_agent.errors import AgentError
from hytnas_agent.registry import Registry, suggestion

GROUP = "hytnas.numbers"


def is_number(found: object) -> bool:
    return isinstance(found, float)


def numbers() -> Registry[float]:
    bundled = {"pi": "math:pi", "e": "math:e"}
    return Registry(
        GROUP, "number", bundled, error=AgentError, accepts=lambda found: isinstance(found, float)
    )


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Any:
    def offer_all(*offers: tuple[str, str]) -> Registry[float]:
        points = [EntryPoint(name, value, GROUP) for name, value in offers]
        monkeypatch.setattr(registry, "_entry_points", lambda group: points if group == GROUP else [])
        return numbers()

    return offer_all


def test_bundled_ones_come_first_and_the_others_by_the_alphabet(offer: Any) -> None:
    found = offer(("tau", "math:tau"), ("inf", "math:inf"))
    assert found.names() == ("pi", "e", "inf", "tau")
    assert "tau" in found
    assert "two" not in found
    assert found.get("tau") == 2 * found.get("pi")


def test_a_bundled_name_cannot_be_taken(offer: Any) -> None:
    found = offer(("pi", "math:e"))
    assert found.names() == ("pi", "e")
    assert found.get("pi") > found.get("e")


def test_an_unknown_name_gets_the_nearest_and_the_list(offer: Any) -> None:
    with pytest.raises(AgentError, match=r"no number 'tao'. Did you mean 'tau'\? Known: pi, e, tau"):
        offer(("tau", "math:tau")).get("tao")


@pytest.mark.parametrize("value", ["no_such_module:x", "math:no_such_number", "math"])
def test_what_cannot_be_imported_is_named_and_spoils_nothing_else(offer: Any, value: str) -> None:
    found = offer(("odd", value))
    assert found.names() == ("pi", "e", "odd")
    assert found.get("pi")
    with pytest.raises(AgentError, match=f"The number 'odd' \\({value}\\) cannot be imported.*package"):
        found.get("odd")


def test_something_else_is_refused(offer: Any) -> None:
    with pytest.raises(AgentError, match="What math:sin offers as number 'odd' is no number"):
        offer(("odd", "math:sin")).get("odd")


def test_a_name_that_two_packages_offer_is_refused(offer: Any) -> None:
    found = offer(("x", "math:tau"), ("x", "math:inf"), ("y", "math:tau"), ("y", "math:tau"))
    with pytest.raises(AgentError, match="Several packages offer a number 'x': math:inf, math:tau"):
        found.get("x")
    assert found.get("y") == found.get("pi") * 2


def test_installed_packages_are_asked() -> None:
    assert any(point.name == "hytnas-agent" for point in registry._entry_points("console_scripts"))


def test_a_long_list_is_not_printed() -> None:
    known = [f"name-{index}" for index in range(40)]
    assert suggestion("name-39x", known) == "Did you mean 'name-39'?"
