"""`touchstone beat`: the clock that makes the fleet sweep."""


def beat() -> None:
    """Run Celery beat. Its schedule is made of intervals only and kept in memory."""
    from config.settings import load
    from tasks.app import make_app
    from telemetry import logging

    settings = load()
    logging.configure(settings.log_level, settings.log_format)
    app = make_app(settings)
    app.set_current()
    app.Beat(loglevel=settings.log_level, quiet=True).run()
