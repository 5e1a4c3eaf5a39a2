from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_out


class TenantsConfig(AppConfig):
    name = "tenants"

    def ready(self) -> None:
        from tenants.services.sessions import console_session_ends

        # However somebody signs out, on the console's page or the admin's, Django says so while the session still exists.
        user_logged_out.connect(console_session_ends, dispatch_uid="console_session_ends")
