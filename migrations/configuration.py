"""Alembic's configuration for these migrations, from a checkout as from the installed wheel."""

import sys
from pathlib import Path

from alembic.config import Config


def configuration(url: str) -> Config:
    """What alembic's commands take, for the database at a SQLAlchemy URL."""
    config = Config(stdout=sys.stdout)
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["url"] = url
    return config
