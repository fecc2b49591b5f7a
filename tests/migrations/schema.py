"""What a schema consists of, read from Postgres's own catalogue."""

from sqlalchemy import Engine, text

_PARTS = """
SELECT format('column %s.%s %s null=%s default=%s collation=%s', c.table_name, c.column_name, c.data_type,
              c.is_nullable, c.column_default, c.collation_name)
FROM information_schema.columns c WHERE c.table_schema = 'public'
UNION ALL
SELECT format('constraint %s on %s: %s', conname, conrelid::regclass, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace
UNION ALL
SELECT format('index %s', indexdef) FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT format('view %s: %s', viewname, definition) FROM pg_views WHERE schemaname = 'public'
UNION ALL
SELECT format('statistics of %s.%s: %s', attrelid::regclass, attname, attstattarget) FROM pg_attribute
WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
AND coalesce(attstattarget, -1) <> -1 AND attnum > 0
UNION ALL
SELECT format('storage of %s.%s: %s', attrelid::regclass, attname, attstorage)
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace)
AND attstorage <> typstorage AND attnum > 0
UNION ALL
SELECT format('relation %s %s %s', relname, relkind, reloptions) FROM pg_class
WHERE relnamespace = 'public'::regnamespace
"""

_TABLES = """
SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'outbox')
UNION ALL SELECT viewname FROM pg_views WHERE schemaname = 'public' AND viewname IN ('answers', 'verdicts', 'events')
"""


def parts(engine: Engine) -> set[str]:
    """Columns, constraints, indexes, views, values' storage, storage options and ANALYZE's targets, each as a line."""
    with engine.connect() as connection:
        return {part for part in connection.execute(text(_PARTS)).scalars() if "alembic_version" not in part}


def rows(engine: Engine) -> dict[str, int]:
    """The number of rows by table; what has become a view counts like one.

    What waits in the outbox is among the events once it is no longer there.
    """
    with engine.connect() as connection:
        tables = connection.execute(text(_TABLES)).scalars().all()
        return {table: connection.execute(text(f'SELECT count(*) FROM "{table}"')).scalar_one() for table in tables}
