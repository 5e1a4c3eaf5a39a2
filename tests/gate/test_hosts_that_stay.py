"""What the agent tells the proxy when an instance gets another key of its own."""

from dataclasses import dataclass, field
from pathlib import Path

from provider.gate.agent import Agent, AgentConfig
from provider.gate.proxy import Proxy

HOST, PLACE = ("hosts", "a.apps.localhost"), ("upstreams", "ins1/")


@dataclass(frozen=True)
class Told(Proxy):
    """A proxy that only remembers what it was told."""

    said: list[str] = field(default_factory=list)

    def _command(self, text: str) -> str:
        self.said.append(text)
        return ""


def _agent() -> tuple[Agent, list[str]]:
    proxy = Told(Path("gate.sock"), Path("/maps"))
    config = AgentConfig("", "redis://127.0.0.1:1", proxy, Path("status"), {}, "local", "root", "gate")
    agent = Agent(config)
    agent.placements = {"ins1": frozenset({(*HOST, "ins1/old"), (*PLACE, "127.0.0.1:1")})}
    return agent, proxy.said


def test_a_host_that_stays_is_changed_and_at_no_moment_away() -> None:
    agent, said = _agent()
    agent._place(["ins1"], {"ins1": frozenset({(*HOST, "ins1/new"), (*PLACE, "127.0.0.1:1")})})
    moving, host = "/maps/moving.map a.apps.localhost", "/maps/hosts.map a.apps.localhost"
    assert [text.partition("; ")[0].strip() for text in said] == [
        f"del map {moving}",
        f"del map {host}",
        f"del map {moving}",
    ]
    assert ["ins1/new" in text for text in said] == [True, True, False]


def test_a_host_that_passes_to_another_instance_is_taken_away_first() -> None:
    agent, said = _agent()
    agent._place(["ins2", "ins1"], {"ins2": frozenset({(*HOST, "ins2/key")})})
    taken = said.index("del map /maps/hosts.map a.apps.localhost")
    given = next(number for number, text in enumerate(said) if "a.apps.localhost ins2/key" in text)
    assert taken < given
