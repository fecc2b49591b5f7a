"""The one place that reads the environment.

A composition root (ASGI shim, Celery shim, worker lifecycle, `migrations/env.py`, the CLI) calls :func:`load` once and
hands values down. Everything else takes values.

Sources, strongest first: keyword arguments, the environment (`TOUCHSTONE_*`, `DATABASE_URL`, `REDIS_URL`), and the note
that a running embedded stack leaves in `<home>/stack.json`, so that `celery -A tasks worker` or `alembic upgrade head`
in a checkout find it.
"""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

STACK_FILE = "stack.json"

Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Count = Annotated[int, Field(ge=1)]


class SettingsError(Exception):
    """A setting is missing or wrong. The message is one line that names the variable, to be printed as it is."""


class Settings(BaseSettings):
    """Everything an operator can set. Durations are seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="TOUCHSTONE_", frozen=True, extra="ignore", hide_input_in_errors=True, populate_by_name=True
    )

    home: Path = Field(Path(".touchstone"), description="Where the embedded stack keeps data, keys, logs and stamps.")
    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("DATABASE_URL", "database_url"),
        description="PostgreSQL >= 15; unset: embedded.",
    )
    database_direct_url: SecretStr | None = Field(
        None, description="For migrations, when DATABASE_URL goes through a pooler in transaction mode."
    )
    redis_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("REDIS_URL", "redis_url"),
        description="Redis >= 7 or Valkey; unset: embedded.",
    )

    # HTTP
    host: str = Field("127.0.0.1", description="Address the API listens on.")
    port: Port = Field(8000, description="Port of the API; the embedded stack takes a free one when this is busy.")
    api_processes: Count = Field(1, description="API processes of the default stack.")
    api_url: str = Field("", description="Base URL that the CLI talks to; empty: the running embedded stack's.")
    api_key: SecretStr | None = Field(None, description="Key that the CLI sends; unset: <home>/api-key.")
    max_answers: Count = Field(10_000, description="Answers in one POST, at most.")
    max_body_bytes: Count = Field(8 * 1024 * 1024, description="Bytes of one POST after decompression, at most.")
    wait_limit: Count = Field(30, description="Seconds that a POST may wait for its grades (`Prefer: wait`), at most.")
    key_cache: Seconds = Field(5.0, le=5.0, description="How long a revoked API key may still be let in.")

    backlog_age: float = Field(
        30.0, ge=0, description="Seconds that a project's lane may lag before POSTs to it get 429; 0: any time."
    )
    backlog_bytes: int = Field(
        8 * 1024**3, ge=0, description="Bytes of bodies that may wait in all before every POST gets 429; 0: any."
    )

    # Postgres
    pool_size: int = Field(10, ge=5, description="Postgres connections of one API process, at most.")

    prepared_statements: bool = Field(
        True, description="Whether Postgres may keep statements prepared; not behind a pooler that does not track them."
    )

    # The fleet
    lease: Seconds = Field(5.0, description="How long a claim holds after its worker's last sign of life.")
    stall: Seconds = Field(
        30.0, description="Silence after which a process counts as hung, and its model run as nobody's."
    )
    slice_ms: Count = Field(
        250, description="Longest time a live or bulk worker grades before it yields to the next project."
    )
    claim_batches: Count = Field(
        128, description="Batches in one claim, at most; eight times as many while nothing else waits."
    )
    claim_answers: Count = Field(20_000, description="Answers in one claim, likewise (one batch is always taken).")
    debts_from: Count = Field(
        128, description="Respondents moved by one claim from which their statistics are written a few seconds later."
    )
    max_attempts: Count = Field(5, description="Claims of a batch before it is dead.")
    retry_base: Seconds = Field(
        0.5, description="First wait before a failed batch is tried again; doubles, with jitter."
    )
    retry_max: Seconds = Field(60.0, description="Longest wait before a failed batch is tried again.")
    doorbell_ms: Count = Field(15_000, description="How long a doorbell that nobody hears stands for the next ones.")
    sweep_interval: Seconds = Field(2.0, description="How often the sweep looks for what was forgotten.")
    refit_growth: Share = Field(0.1, description="Share of new answers at which a project refits by itself.")
    refit_after: Seconds = Field(3600.0, description="Age of a model run after which changes make the project refit.")
    refit_minimum: Count = Field(1000, description="Answers before a project refits by itself for the first time.")
    refit_limit: Seconds = Field(3600.0, description="Hard time limit of one refit.")
    payload_days: Count = Field(7, description="Days that the bodies of terminal batches are kept.")
    history_days: Count | None = Field(
        None, description="Days that events and superseded versions of verdicts are kept; unset: for ever."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="Where workers and refits compute.")
    workers: Count = Field(2, description="Live and bulk worker processes of the default stack.")

    # Flower
    flower_host: str = Field("127.0.0.1", description="Address Flower listens on.")
    flower_port: Port = Field(5555, description="Port of Flower.")
    flower_user: str = Field("touchstone", min_length=1, description="Basic-auth user of Flower.")
    flower_password: SecretStr | None = Field(
        None, description="Basic-auth password of Flower; Flower does not start without one."
    )
    flower_max_tasks: Count = Field(10_000, description="Tasks that Flower keeps in memory.")

    # Telemetry
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is worth a line.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: JSON unless a terminal is looking."
    )
    metrics_host: str = Field("127.0.0.1", description="Address on which workers serve their metrics.")
    metrics_port: Port | None = Field(
        None, description="First port on which workers do so, each process on the next that is free; unset: none does."
    )

    # Tests of recovery
    crash_point: str = Field(
        "", description="Where this process kills itself, `NAME` or `NAME:N` for the N-th time there; never in earnest."
    )

    @field_validator("database_url", "database_direct_url")
    @classmethod
    def _postgres(cls, url: SecretStr | None) -> SecretStr | None:
        """Accept `postgres://` and `postgresql://` as hosting platforms hand them out; always drive with psycopg 3."""
        if url is None:
            return None
        scheme, separator, rest = url.get_secret_value().partition("://")
        if not separator or scheme not in {"postgres", "postgresql", "postgresql+psycopg"}:
            raise ValueError("must start with postgresql://")
        return SecretStr(f"postgresql+psycopg://{rest}")

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("redis://", "rediss://", "sentinel://")):
            raise ValueError("must start with redis://, rediss:// or sentinel://")
        return url

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, _StackSource(settings_cls, (init_settings, env_settings))

    def require_database_url(self) -> str:
        """The SQLAlchemy URL of Postgres.

        Raises:
            SettingsError: no URL is set and no embedded stack runs.
        """
        return _required(self.database_url, "DATABASE_URL", self.home)

    def require_direct_url(self) -> str:
        """The URL for migrations: past any pooler.

        Raises:
            SettingsError: as :meth:`require_database_url`.
        """
        return _required(self.database_direct_url or self.database_url, "DATABASE_URL", self.home)

    def require_redis_url(self) -> str:
        """The URL of the Redis-protocol server.

        Raises:
            SettingsError: no URL is set and no embedded stack runs.
        """
        return _required(self.redis_url, "REDIS_URL", self.home)


class _StackSource(PydanticBaseSettingsSource):
    """What a running embedded stack noted in `<home>/stack.json`: field names to values."""

    def __init__(self, settings_cls: type[BaseSettings], stronger: tuple[PydanticBaseSettingsSource, ...]) -> None:
        super().__init__(settings_cls)
        self._stronger = stronger

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        known = {key: value for source in reversed(self._stronger) for key, value in source().items()}
        home = Path(str(known.get("home", ".touchstone")))
        try:
            note = json.loads((home / STACK_FILE).read_text())
        except (OSError, ValueError):
            return {}
        fields = note.get("settings") if isinstance(note, dict) and _alive(note.get("pid")) else None
        if not isinstance(fields, dict):
            return {}
        return {key: value for key, value in fields.items() if key not in known and key.upper() not in known}


def _alive(pid: object) -> bool:
    """Whether the process that left the note still runs: one that was killed could not take its note back."""
    if not isinstance(pid, int):
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def load(**overrides: Any) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: a value is wrong; the message is one line that names the variable.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "settings"
        variable = name.upper() if name.upper() in {"DATABASE_URL", "REDIS_URL"} else f"TOUCHSTONE_{name.upper()}"
        raise SettingsError(f"{variable}: {first['msg'].removeprefix('Value error, ')}") from None


def _required(url: SecretStr | None, variable: str, home: Path) -> str:
    if url is None:
        raise SettingsError(f"{variable}: not set, and no embedded stack runs in {home} (start one with `make up`)")
    return url.get_secret_value()
