"""Three generations of a client, with their mistakes: each uploads and resumes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.scenarios.peers import MIB, body_of, sha
from tests.scenarios.uploads.api import Api, fresh_name
from tests.scenarios.uploads.sdk import GENERATIONS, Failed, First

BODY = body_of(3 * MIB + 120)


@pytest.fixture(params=GENERATIONS)
def sdk(request: pytest.FixtureRequest, each_root: Api) -> First:
    """A client of each generation."""
    return GENERATIONS[request.param](each_root)


@pytest.fixture(params=["plain", "trailing slash"])
def each_root(request: pytest.FixtureRequest, api: Api) -> Iterator[Api]:
    """How the client was given the address."""
    api.base = "/" if request.param == "trailing slash" else ""
    return api


@pytest.mark.parametrize("size", [0, 1, MIB, len(BODY)])
def test_a_file(sdk: First, size: int) -> None:
    """Whatever its size, it is there when the client says so, at the path that it is told."""
    name = fresh_name()
    answer = sdk.upload(name, BODY[:size])
    assert answer["status"] == "complete"
    assert sha(sdk.api.at(answer["final_path"])) == sha(BODY[:size])


def test_resuming(sdk: First) -> None:
    """What one run left, the next one ends, by the formula of its generation."""
    made = sdk.init(fresh_name(), len(BODY))
    tokens = {part["part"]: part["token"] for part in made["parts"]}
    size = made["chunk_size"]
    for number in (0, 3):
        sdk.send(made["file_id"], number, tokens[number], BODY[number * size :][:size])
    answer = sdk.resume(made["file_id"], BODY, tokens)
    assert sha(sdk.api.at(answer["final_path"])) == sha(BODY)
    again = sdk.resume(made["file_id"], BODY, tokens)
    assert (again["status"], again["final_path"]) == ("complete", answer["final_path"])


def test_a_lost_answer(sdk: First) -> None:
    """A part that is stored and not heard of is sent again, and nothing is lost by it."""
    lost = {1, 2}

    def lose(number: int) -> bool:
        if number in lost:
            lost.remove(number)
            return True
        return False

    sdk.lose = lose
    answer = sdk.upload(fresh_name(), BODY)
    assert sha(sdk.api.at(answer["final_path"])) == sha(BODY)


def test_cancelling(sdk: First) -> None:
    """It answers in JSON, the first time and the next."""
    made = sdk.init(fresh_name(), len(BODY))
    assert sdk.cancel(made["file_id"])["status"] == "cancelled"
    if sdk.tries == 3:
        with pytest.raises(Failed, match="not found"):
            sdk.cancel(made["file_id"])
    else:
        assert sdk.cancel(made["file_id"]) == {}


def test_the_health(sdk: First) -> None:
    """It is found where it is looked for."""
    assert sdk.healthy()


def test_an_end_that_takes_its_time(odd: Api) -> None:
    """After a 202 the status goes to complete, never back, and those who poll get the path."""
    for name in ("2.0.1", "2.1.0"):
        answer = GENERATIONS[name](odd).upload(name, BODY)
        assert (answer["status"], answer["final_path"]) == ("complete", name)
    assert sha(odd.at("2.1.0")) == sha(BODY)
