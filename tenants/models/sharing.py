"""Who may enter an instance beside its owner: people who were invited, and programs that were given a key."""

from typing import ClassVar

from django.conf import settings
from django.db import models

from apps_catalog.identifiers import new_id
from tenants.models.instances import Instance
from tenants.states import ShareState


def new_app_key_id() -> str:
    return new_id("apk")


def new_share_id() -> str:
    return new_id("shr")


class AppKey(models.Model):
    """Opens the private paths of one micro, or of all that take keys. Shown once, only its SHA-256 is kept.

    micro: its name, "" for every micro of the instance that takes keys. last_used_at: by the gate's agent, to the minute.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_app_key_id, editable=False)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="app_keys")
    micro = models.CharField(max_length=80, blank=True)
    name = models.CharField(max_length=60)
    prefix = models.CharField(max_length=20)
    sha256 = models.CharField(max_length=64, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering: ClassVar = ["-created_at"]

    def __str__(self) -> str:
        return self.name


class Share(models.Model):
    """An invitation to an instance, and what became of it. It is to an address, whether or not somebody has it here.

    user: whoever accepted; only then is it known that the address has an account. mail_at: when the mail about it is to
    be tried next, None once it went out (or was given up); mailed_at: when the last one was asked for.
    """

    id = models.CharField(primary_key=True, max_length=40, default=new_share_id, editable=False)
    instance = models.ForeignKey(Instance, on_delete=models.CASCADE, related_name="shares")
    email = models.EmailField()
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, null=True, blank=True, related_name="shares"
    )
    state = models.CharField(max_length=12, choices=ShareState.choices, default=ShareState.INVITED)
    created_at = models.DateTimeField(auto_now_add=True)
    answered_at = models.DateTimeField(null=True, blank=True)
    mailed_at = models.DateTimeField()
    mail_at = models.DateTimeField(null=True, blank=True)
    mail_tries = models.PositiveSmallIntegerField(default=0)

    class Meta:
        ordering: ClassVar = ["created_at"]
        constraints: ClassVar = [models.UniqueConstraint(fields=["instance", "email"], name="share_once")]
        indexes: ClassVar = [
            # What waits for somebody who signs in with this address.
            models.Index(fields=["email"], name="share_of_address"),
            # The sweep: invitations whose mail is due.
            models.Index(fields=["mail_at"], name="share_mail_due", condition=models.Q(mail_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return self.pk

    @property
    def cloud_id(self) -> str:
        """For events: they belong to the cloud of the instance."""
        return str(self.instance.cloud_id)
