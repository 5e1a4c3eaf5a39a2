"""The rows behind the gate's bench: one instance with an app behind it, and as many others as are asked for."""

from tenants import feed
from tenants.models import InstanceMicro
from tests.gate.running import Gate, wait_until
from tests.gate.tenancy import new_house


class Fleet:
    def __init__(self, gate: Gate, upstream: str) -> None:
        self.gate, self.house = gate, new_house()
        InstanceMicro.objects.create(
            instance=self.house.instance,
            name="main",
            mount="",
            kind="process",
            engine="python3.11",
            phase="ready",
            upstream=upstream,
            public_routes=["/open/*"],
        )
        feed.changed(self.house.instance.id)
        wait_until(lambda: gate.entry("upstreams", f"{self.house.instance.id}/") == upstream, "the app is known")

    def owner(self) -> dict[str, str]:
        name, value = self.house.cookie()
        return {"Host": self.house.host, name: value}

    def anybody(self) -> dict[str, str]:
        return {"Host": self.house.host}
