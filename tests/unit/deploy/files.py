"""Where things lie, and the names of the settings."""

from pathlib import Path

from config.settings import Settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"

SETTINGS = frozenset({"DATABASE_URL", "REDIS_URL"} | {f"TOUCHSTONE_{name.upper()}" for name in Settings.model_fields})
"""As environment variables."""
