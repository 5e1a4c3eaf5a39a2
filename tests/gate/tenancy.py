"""Rows that the gate reads, made quickly; and the cookies that would follow from signing in."""

import hashlib
import secrets
import time
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.utils import timezone

from apps_catalog.models import App, Revision
from provider.gate import appsession
from provider.sessions import SessionStore
from tenants import feed
from tenants.data_secrets import calls_key
from tenants.models import AppKey, Cell, Cloud, Instance, InstanceMicro, Plan, Share, User
from tenants.services import app_keys
from tenants.services.sessions import sid_of
from tenants.states import InstanceState, ShareState
from tests.gate.running import Gate, keys, wait_until
from tests.gate.wire import Upstream


def new_user() -> User:
    tag = secrets.token_hex(5)
    user = User.objects.create_user(f"{tag}@example.org", f"h{tag}")
    plan, _ = Plan.objects.get_or_create(
        slug="gate-tests", defaults={"cpu_millis": 1, "memory_mib": 1, "storage_mib": 1, "instances": 1}
    )
    cell, _ = Cell.objects.get_or_create(name="local", defaults={"apps_domain": "apps.localhost"})
    Cloud.objects.create(owner=user, cell=cell, plan=plan, namespace=f"fh-{tag}")
    return user


@dataclass
class House:
    """An instance, its owner, and the owner's console session."""

    owner: User
    instance: Instance
    console_key: str

    @property
    def host(self) -> str:
        return self.instance.host

    @property
    def session(self) -> appsession.AppSession:
        now = int(time.time())
        sid = sid_of(self.console_key)
        return appsession.AppSession(
            self.host, self.instance.id, self.owner.id, sid, now, now + 3600, self.owner.email, "owner"
        )

    def cookie(self, **changes: Any) -> tuple[str, str]:
        return ("Cookie", f"freehold_app={self.token(**changes)}")

    def token(self, **changes: Any) -> str:
        return appsession.sign(replace(self.session, **changes), keys())

    def change(self, **columns: Any) -> None:
        Instance.objects.filter(pk=self.instance.pk).update(**columns)
        feed.changed(self.instance.id)

    def guest_cookie(self, guest: User, **changes: Any) -> tuple[str, str]:
        sid = sid_of(console_session(guest))
        return self.cookie(sub=guest.pk, email=guest.email, role="guest", sid=sid, **changes)

    def share(self, guest: User, state: str = ShareState.ACCEPTED) -> Share:
        now = timezone.now()
        user = None if state == ShareState.INVITED else guest
        return Share.objects.create(
            instance=self.instance, email=guest.email, user=user, state=state, mailed_at=now, answered_at=now
        )

    def key(self, name: str, micro: str = "", *, expired: bool = False) -> str:
        """A key's text."""
        _, text = app_keys.make_key(self.owner, self.instance, name, micro)
        if expired:
            AppKey.objects.filter(name=name, instance=self.instance).update(expires_at=timezone.now())
        return text

    def revoke(self, text: str) -> None:
        app_keys.revoke_key(self.owner, AppKey.objects.get(sha256=hashlib.sha256(text.encode()).hexdigest()))

    @property
    def own_key(self) -> str:
        instance = Instance.objects.get(pk=self.instance.pk)
        return calls_key(settings.DATA_KEY, instance.cloud_id, instance.pk, instance.calls_version)

    def add(self, mount: str, upstream: Upstream, public: list[str], *, takes_keys: bool = False) -> None:
        InstanceMicro.objects.create(
            instance=self.instance,
            name=mount or "main",
            mount=mount,
            kind="process",
            engine="python3.11",
            phase="ready",
            upstream=upstream.address,
            public_routes=public,
            takes_keys=takes_keys,
        )


def console_session(user: User) -> str:
    """The key of a console session that is signed in, as the login form would make it."""
    store = SessionStore()
    store["_auth_user_id"] = user.pk
    store["_auth_user_backend"] = "allauth.account.auth_backends.AuthenticationBackend"
    store["_auth_user_hash"] = user.get_session_auth_hash()
    store.create()
    assert store.session_key
    return store.session_key


def new_house(owner: User | None = None, state: str = InstanceState.RUNNING) -> House:
    user = owner or new_user()
    tag = secrets.token_hex(4)
    app = App.objects.create(slug=f"app-{tag}", name="App", developer=user)
    revision = Revision.objects.create(app=app, tag="1", source="sha256:0", source_bytes=1, spacefile={})
    instance = Instance.objects.create(
        cloud=user.cloud,
        app=app,
        revision=revision,
        alias="app",
        host=f"localhost-app-{tag}.apps.localhost",
        cpu_millis=1,
        memory_mib=1,
        storage_mib=1,
        state=state,
    )
    return House(user, instance, console_session(user))


def settle(gate: Gate, *houses: House) -> None:
    """Until the proxy knows these hosts and every micro of theirs that has an upstream."""
    for house in houses:
        feed.changed(house.instance.id)
        wanted = {m.mount: m.upstream for m in house.instance.micros.exclude(upstream="")}
        wait_until(lambda house=house: gate.entry("hosts", house.host), "the host is known")
        wait_until(
            lambda wanted=wanted, pk=house.instance.id: all(gate.upstream(pk, m) == up for m, up in wanted.items()),
            "the upstreams are known",
        )
