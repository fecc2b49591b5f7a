"""The README's configuration table is that of the settings."""

from pathlib import Path

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config.settings import Settings

README = Path(__file__).parents[3] / "README.md"


def row(name: str, field: FieldInfo) -> str:
    """A setting as a line of the table."""
    variable = name.upper() if name in {"database_url", "redis_url"} else f"TOUCHSTONE_{name.upper()}"
    default = "" if field.default in {None, "", PydanticUndefined} else f"`{field.default}`"
    return f"| `{variable}` | {default} | {field.description} |"


def test_the_table_is_complete_and_true() -> None:
    table = README.read_text().split("<!-- settings -->")[1].split("<!-- /settings -->")[0]
    expected = [row(name, field) for name, field in Settings.model_fields.items()]
    assert table.strip().splitlines()[2:] == expected
