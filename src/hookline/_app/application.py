"""All that one application does, in one class."""

from hookline._app.endpoints import Endpoints
from hookline._app.figures import Figures
from hookline._app.replays import Replays
from hookline._app.trials import Trials
from hookline._domain import ids


class ApplicationWebhooks(Endpoints, Trials, Replays, Figures):
    """The webhooks of one application, apart from those of every other.

    What it publishes goes to its own endpoints. Nothing that belongs to another application is
    found through it, by whatever id.
    """

    @property
    def id(self) -> str:
        """The application's id, `app_…`; empty for the default one before anything was started."""
        engine = self._runtime.engine
        key = self._key or (engine.app if engine is not None else None)
        return "" if key is None else ids.encode(ids.APPLICATION, key)
