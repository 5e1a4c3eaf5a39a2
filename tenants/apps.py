from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_out


class TenantsConfig(AppConfig):
    name = "tenants"

    def ready(self) -> None:
        from allauth.account.signals import password_changed, password_reset, password_set

        from tenants.services.sessions import console_session_ends, password_changes

        # However somebody signs out, on the console's page or the admin's, Django says so while the session still exists.
        user_logged_out.connect(console_session_ends, dispatch_uid="console_session_ends")
        for signal in (password_changed, password_reset, password_set):
            signal.connect(password_changes, dispatch_uid="password_changes")
