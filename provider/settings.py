"""The one settings file. Every value that differs between places comes from the environment (docs/operators/settings.md)."""

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from k8s.naming import FORMER_DATA_HOSTS
from provider import env

BASE_DIR = Path(__file__).resolve().parent.parent

# --- where we are ----------------------------------------------------------------------------------------------------
DEBUG = env.boolean("FREEHOLD_DEBUG", False)
FREEHOLD_HOME = Path(env.text("FREEHOLD_HOME", str(BASE_DIR / "var"))).resolve()
FREEHOLD_RUN = Path(env.text("FREEHOLD_RUN", str(FREEHOLD_HOME / "run")))
CONSOLE_URL = env.text("FREEHOLD_CONSOLE_URL", "http://freehold.localhost:8000").rstrip("/")
_console = urlsplit(CONSOLE_URL)
CONSOLE_HOST = _console.hostname or "freehold.localhost"
# Where instances answer: the scheme and port that links to them carry. Their domain belongs to their cell.
APPS_SCHEME = env.choice("FREEHOLD_APPS_SCHEME", ("http", "https"), _console.scheme)
APPS_PORT = env.integer("FREEHOLD_PORT", _console.port or (443 if _console.scheme == "https" else 80))
DEFAULT_CELL = env.text("FREEHOLD_CELL", "local")
APPS_DOMAIN = env.text("FREEHOLD_APPS_DOMAIN", "apps.localhost")
# On one machine instance hosts begin with "localhost-": the former platform's browser SDK then stays on plain http.
APPS_HOST_PREFIX = env.text("FREEHOLD_APPS_HOST_PREFIX", "localhost-" if APPS_DOMAIN.endswith("localhost") else "")
CLUSTER_URL = env.text(
    "CLUSTER_URL", f"local://{FREEHOLD_HOME}/node?socket={FREEHOLD_RUN}/node.sock&store={FREEHOLD_HOME}/store"
)
# Cells beside the one of this process, "name=URL": what a worker needs of clusters whose gate and observer run elsewhere.
OTHER_CELLS = dict(env.pairs("FREEHOLD_OTHER_CELLS"))
# Whether micros may be OCI images. Pods of the console are told so, since they know no cluster.
# Whether the cluster of this cell makes copies of volumes, for updates to go back to.
COPIES_VOLUMES = not CLUSTER_URL.startswith("kubernetes://")
RUNS_IMAGES = env.boolean("FREEHOLD_RUNS_IMAGES", CLUSTER_URL.startswith("kubernetes://"))
# Whether the process that decides may start what it wakes: in a cluster it has no right to, and a worker does.
WAKES_AT_ONCE = env.boolean("FREEHOLD_WAKES_AT_ONCE", False)
STORE_DIR = FREEHOLD_HOME / "store"
# Where apps reach their data, without a scheme: the clients of the former platform insist on https.
_data_host = env.text("FREEHOLD_DATA_HOST", "")
_local_data_host = f"localhost:{env.integer('FREEHOLD_TLS_PORT', 8443)}"
DATA_HOST = _data_host or _local_data_host
# What programs outside of apps are told. The former platform's names are ours inside of pods alone: on any other machine
# they would lead, with a key, to whoever has these domains.
OUTSIDE_DATA_HOST = _local_data_host if DATA_HOST.partition(":")[0] in FORMER_DATA_HOSTS else DATA_HOST
# Clouds get data servers where apps can reach them: in a pod `localhost` is the pod itself.
DATA_SERVERS = bool(_data_host) or CLUSTER_URL.startswith("local://")
# Names the artifact that data servers run, written by provider.up.data_program. In a cluster it lies on a volume that all
# processes share, so that old pods and new ones never want different programs.
DATA_PROGRAM = Path(env.text("FREEHOLD_DATA_PROGRAM", str(FREEHOLD_HOME / "data-program")))
# Where the image of the provider has that artifact, for `manage.py prepare` to bring it into the store.
DATA_PACKED = env.text("FREEHOLD_DATA_PACKED", "")
# The gate's inner listener for scheduled actions, "unix:PATH" or "host:port"; and those of other cells, "name=host:port".
ACTIONS_ADDR = env.text("FREEHOLD_ACTIONS_ADDR", f"unix:{FREEHOLD_RUN}/gate-actions.sock")
OTHER_ACTIONS_ADDRS = dict(env.pairs("FREEHOLD_OTHER_ACTIONS_ADDRS"))
STATIC_MICROS_ADDR = env.text("FREEHOLD_STATIC_ADDR", "127.0.0.1:8005")

# --- secrets ---------------------------------------------------------------------------------------------------------
SECRET_KEY = env.text("SECRET_KEY", "only-for-debugging-never-for-people" if DEBUG else None)
# Shared by the proxy and the decision endpoint, so that nothing else that reaches the port can ask.
GATE_SECRET = env.text("FREEHOLD_GATE_SECRET", "only-for-debugging" if DEBUG else None)
# "kid:secret,kid:secret": the first signs new app sessions, all verify.
SESSION_KEYS = env.names("FREEHOLD_SESSION_KEYS", "debug:only-for-debugging" if DEBUG else "")
# "key,key": the first encrypts what is secret in the database (settings of apps), all decrypt.
_debug_key = "b25seS1mb3ItZGVidWdnaW5nLW5ldmVyLWZvci1wZW8="
FIELD_KEYS = env.keys("FREEHOLD_FIELD_KEY", _debug_key if DEBUG else None)

# What data servers' secrets and the keys of instances are made from (tenants.data_secrets).
DATA_KEY = env.text("FREEHOLD_DATA_KEY", "only-for-debugging" if DEBUG else None)

# --- policy ----------------------------------------------------------------------------------------------------------
SIGNUP = env.choice("FREEHOLD_SIGNUP", ("open", "invite", "closed"), "invite")
DEFAULT_PLAN = env.text("FREEHOLD_DEFAULT_PLAN", "household")
ERASE_AFTER_DAYS = env.integer("FREEHOLD_ERASE_AFTER_DAYS", 30)
# Listed releases wait for an operator's look.
REVIEW_LISTINGS = env.boolean("FREEHOLD_REVIEW_LISTINGS", False)
# What the plan that is made at the first start says: idle seconds after which an app falls asleep; 0: never by itself.
SLEEP_AFTER_S = env.integer("FREEHOLD_SLEEP_AFTER_SECONDS", 900)
# How long a cloud's data server stays awake after its last use, when no instance of the cloud is awake.
DATA_SLEEP_AFTER_S = env.integer("FREEHOLD_DATA_SLEEP_AFTER_SECONDS", 300)
MIGRATION_TIMEOUT_S = env.integer("FREEHOLD_MIGRATION_TIMEOUT_S", 600)
BUNDLE_LIMIT_MIB = env.integer("FREEHOLD_BUNDLE_LIMIT_MIB", 250)

# --- money -----------------------------------------------------------------------------------------------------------
# Without a key billing is off: plans are changed freely and nothing is charged.
STRIPE_KEY = env.beginning("FREEHOLD_STRIPE_KEY", ("sk_test_", "rk_test_", "sk_live_", "rk_live_"))
# Of the webhook endpoint, "secret,secret": all verify, so that one can be replaced.
_secrets = env.text("FREEHOLD_STRIPE_WEBHOOK_SECRET", "" if DEBUG or not STRIPE_KEY else None)
STRIPE_WEBHOOK_SECRETS = [secret.strip() for secret in _secrets.split(",") if secret.strip()]
STRIPE_LIVE = STRIPE_KEY.startswith(("sk_live_", "rk_live_"))
STRIPE_API = env.text("FREEHOLD_STRIPE_API", "")  # another server that speaks its API; empty: Stripe itself
# What follows where a plan is not paid for, and how many days each lasts; at the end the account closes (ERASE_AFTER_DAYS).
DUNNING_DAYS = {
    "past_due": env.integer("FREEHOLD_DUNNING_NOTICE_DAYS", 14),
    "asleep": env.integer("FREEHOLD_DUNNING_ASLEEP_DAYS", 14),
    "suspended": env.integer("FREEHOLD_DUNNING_SUSPENDED_DAYS", 30),
}
# Passed through to what is made there from now on; how taxes and addresses are dealt with is set up at Stripe itself.
STRIPE_TAX = env.boolean("FREEHOLD_STRIPE_TAX", False)
STRIPE_TAX_IDS = env.boolean("FREEHOLD_STRIPE_TAX_IDS", False)
STRIPE_TAX_BEHAVIOR = env.choice("FREEHOLD_STRIPE_TAX_BEHAVIOR", ("unset", "inclusive", "exclusive"), "unset")
STRIPE_TAX_CODE = env.text("FREEHOLD_STRIPE_TAX_CODE", "")
STRIPE_ADDRESS = env.choice("FREEHOLD_STRIPE_ADDRESS", ("auto", "required"), "auto")
STRIPE_PRORATION = env.choice(
    "FREEHOLD_STRIPE_PRORATION", ("create_prorations", "always_invoice", "none"), "create_prorations"
)

# --- Django ----------------------------------------------------------------------------------------------------------
ROOT_URLCONF = "provider.urls"
WSGI_APPLICATION = "provider.wsgi.application"
ASGI_APPLICATION = "provider.asgi.application"
ALLOWED_HOSTS = [CONSOLE_HOST, *env.names("FREEHOLD_ALLOWED_HOSTS")]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "tenants.User"
LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True
STATIC_URL = "/static/"
STATICFILES_DIRS = [BASE_DIR / "provider" / "static"]
STATIC_ROOT = FREEHOLD_HOME / "static"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_HANDLERS = ["django.core.files.uploadhandler.TemporaryFileUploadHandler"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "allauth",
    "allauth.account",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "apps_catalog",
    "tenants",
    "provider",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "provider.security.content_security",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "provider.outage.Outage",
]

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "provider" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- PostgreSQL, Redis, Celery ---------------------------------------------------------------------------------------
DATABASE_URL = env.text("DATABASE_URL")
REDIS_URL = env.text("REDIS_URL", f"unix://{FREEHOLD_RUN}/redis.sock")


def database(url: str) -> dict[str, Any]:
    """`postgresql://user:password@host:port/name` as Django wants it; the host may be a percent-encoded socket folder."""
    parts = urlsplit(url)
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
        # The web process pools; Celery's workers and commands keep one connection (it closes a pool after every task).
        "CONN_MAX_AGE": 0 if env.boolean("FREEHOLD_DB_POOL", False) else 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"pool": {"min_size": 1, "max_size": 10}} if env.boolean("FREEHOLD_DB_POOL", False) else {},
    }


DATABASES = {"default": database(DATABASE_URL)}
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://")
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 3600}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = {
    "sweep": {"task": "tenants.tasks.sweep", "schedule": 5.0, "options": {"expires": 5}},
    "actions": {"task": "tenants.followups.run_actions", "schedule": 5.0, "options": {"expires": 5}},
    "tidy": {"task": "tenants.tasks.tidy", "schedule": 60.0, "options": {"expires": 60}},
    "figures": {"task": "tenants.followups.count_figures", "schedule": 60.0, "options": {"expires": 60}},
    "limits": {"task": "tenants.tasks.look_at_limits", "schedule": 60.0, "options": {"expires": 60}},
    "settle-billing": {"task": "provider.billing.tasks.settle", "schedule": 60.0, "options": {"expires": 60}},
    "read-events": {"task": "provider.billing.tasks.read_events", "schedule": 3600.0, "options": {"expires": 3600}},
    "dunning": {"task": "provider.billing.tasks.dun", "schedule": 60.0, "options": {"expires": 60}},
    "sleepers": {"task": "tenants.followups.look_for_sleepers", "schedule": 20.0, "options": {"expires": 20}},
    "drains": {"task": "tenants.followups.finish_drains", "schedule": 2.0, "options": {"expires": 2}},
    "pulse": {"task": "provider.pulse.worker_pulse", "schedule": 10.0, "options": {"expires": 10}},
}

# --- accounts --------------------------------------------------------------------------------------------------------
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
ACCOUNT_ADAPTER = "tenants.adapter.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "tenants.forms.SignupForm"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_EMAIL_VERIFICATION = env.choice("FREEHOLD_EMAIL_VERIFICATION", ("mandatory", "none"), "mandatory")
ACCOUNT_LOGOUT_REDIRECT_URL = "/"
ACCOUNT_SESSION_REMEMBER = True
LOGIN_URL = "/accounts/login/"
LOGIN_REDIRECT_URL = "/"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
EMAIL_BACKEND = env.text("FREEHOLD_EMAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
EMAIL_FILE_PATH = FREEHOLD_HOME / "mail"
EMAIL_HOST = env.text("FREEHOLD_SMTP_HOST", "localhost")
EMAIL_PORT = env.integer("FREEHOLD_SMTP_PORT", 25)
DEFAULT_FROM_EMAIL = env.text("FREEHOLD_MAIL_FROM", f"Freehold <no-reply@{CONSOLE_HOST}>")

# --- browser security ------------------------------------------------------------------------------------------------
_tls = _console.scheme == "https"
SESSION_COOKIE_NAME = "__Host-freehold_session" if _tls else "freehold_session"
CSRF_COOKIE_NAME = "__Host-freehold_csrf" if _tls else "freehold_csrf"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _tls
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_ENGINE = "provider.sessions"
SESSION_COOKIE_AGE = 30 * 24 * 3600
CSRF_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [CONSOLE_URL, *env.names("FREEHOLD_TRUSTED_ORIGINS")]
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
# Only the gate reaches the inner port; it replaces this header, so it can be believed.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# --- REST ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["tenants.api.authentication.TokenAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["tenants.api.permissions.WithinScopes"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["tenants.api.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "tenants.api.pagination.Pages",
    "EXCEPTION_HANDLER": "provider.http_errors.api_exception_handler",
    "UNAUTHENTICATED_USER": None,
    # The gate replaces X-Forwarded-For by the one address that it sees.
    "NUM_PROXIES": 1,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Freehold",
    "DESCRIPTION": "Clouds of one's own: apps, instances, operations, projects and releases.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "provider.logs.Lines", "format": "level=%(levelname)s logger=%(name)s %(message)s"},
        "json": {"()": "provider.logs.Json"},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": env.choice("FREEHOLD_LOG_FORMAT", ("line", "json"), "line"),
        }
    },
    # A line for every request would be one for every look at a data server, and names payers to whoever reads logs.
    "loggers": {"httpx": {"level": "WARNING"}, "stripe": {"level": "WARNING"}},
    "root": {"handlers": ["stderr"], "level": env.text("FREEHOLD_LOG_LEVEL", "INFO")},
}
