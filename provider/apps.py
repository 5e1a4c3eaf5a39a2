from django.apps import AppConfig


class ProviderConfig(AppConfig):
    name = "provider"

    def ready(self) -> None:
        # Binds shared tasks to our broker in every process that enqueues; not in provider/__init__, which the CLI imports.
        import provider.celery  # noqa: F401
