"""The rows behind the gate's bench: one instance with an app behind it, and as many others as are asked for."""

from django.db import connection
from django.db.models import Model

from tenants import feed
from tenants.models import Cloud, Collection, DataServer, Instance, InstanceMicro, User
from tenants.states import CloudState
from tests.gate.running import Gate, wait_until
from tests.gate.tenancy import new_house

PER_CLOUD = 10


class Fleet:
    def __init__(self, gate: Gate, upstream: str) -> None:
        self.gate, self.house = gate, new_house()
        self.micro = InstanceMicro.objects.create(
            instance=self.house.instance,
            name="main",
            mount="",
            kind="process",
            engine="python3.11",
            phase="ready",
            upstream=upstream,
            public_routes=["/open/*"],
        )
        cloud = self.house.instance.cloud
        Cloud.objects.filter(pk=cloud.pk).update(state=CloudState.ACTIVE)  # else its data has no place in the maps
        self.data_server = DataServer.objects.create(cloud=cloud, upstream="127.0.0.1:9", observed_generation=1)
        self.collection = Collection.objects.create(
            cloud=cloud, instance=self.house.instance, project_id="p0", name="one", key_sha256="0" * 64
        )
        self.move_to(upstream)

    def owner(self) -> dict[str, str]:
        name, value = self.house.cookie()
        return {"Host": self.house.host, name: value}

    def anybody(self) -> dict[str, str]:
        return {"Host": self.house.host, "Accept": "application/json"}

    def move_to(self, upstream: str) -> None:
        """Committed, and until the proxy has it."""
        InstanceMicro.objects.filter(pk=self.micro.pk).update(upstream=upstream)
        feed.changed(self.house.instance.id)
        wait_until(
            lambda: f'|{upstream}"' in self._looked_up("hosts", self.house.host), "the proxy knows the address", 120
        )

    def _looked_up(self, name: str, key: str) -> str:
        return self.gate.proxy._command(f"get map {self.gate.home}/gate/{name}.map {key}")

    def grow(self, count: int) -> None:
        """So many instances, all awake and with data, ten in each cloud; until the proxy knows them."""
        instance, clouds = self.house.instance, count // PER_CLOUD
        cloud, its_cloud = "'c' || lpad(n::text, 16, '0')", f"'c' || lpad(((n - 1) / {PER_CLOUD} + 1)::text, 16, '0')"
        which, host = (
            "'ins' || lpad(n::text, 16, '0')",
            "'localhost-app-' || lpad(n::text, 8, '0') || '.apps.localhost'",
        )
        _copies(User, self.house.owner.pk, clouds, id="'u' || n", email="n || '@e.org'", handle="'h' || n")
        _copies(Cloud, instance.cloud_id, clouds, id=cloud, owner_id="'u' || n", namespace="'f' || n")
        _copies(DataServer, self.data_server.pk, clouds, id="'d' || n", cloud_id=cloud)
        _copies(Instance, instance.pk, count, id=which, cloud_id=its_cloud, host=host)
        _copies(InstanceMicro, self.micro.pk, count, id="1000000 + n", instance_id=which)
        data = {"project_id": "'p' || lpad(n::text, 11, '0')", "key_sha256": "encode(sha256(n::text::bytea), 'hex')"}
        _copies(Collection, self.collection.pk, count, id="'k' || n", cloud_id=its_cloud, instance_id=which, **data)
        before = self.gate.entry("state", "loaded")
        self.gate.stop("agent")
        self.gate.start("agent")  # reads everything, as at any start, and says when it is done
        wait_until(lambda: self.gate.entry("state", "loaded") != before, "the proxy knows them all", 600)


def _copies(model: type[Model], pk: object, count: int, **columns: str) -> None:
    """Of one row, with these columns as SQL of the number n."""
    table = model._meta.db_table
    named = ", ".join(f"'{name}', {sql}" for name, sql in columns.items())
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {table} SELECT copy.* FROM {table} o, generate_series(1, {count}) n,"
            f" jsonb_populate_record(NULL::{table}, to_jsonb(o) || jsonb_build_object({named})) copy"
            f" WHERE o.{model._meta.pk.column} = %s",
            [pk],
        )
