"""How many may be served at a time by this process, and how many of them for one tenant."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from api.problems import unavailable


class Quota:
    """Places, to be taken and given back in one event loop.

    Args:
        places: of this process.
        of_tenant: of one tenant, at most.
        refusal: what is said when there is none.
    """

    def __init__(self, places: int, of_tenant: int, refusal: str) -> None:
        self._places = places
        self._of_tenant = of_tenant
        self._refusal = refusal
        self._taken: Counter[int] = Counter()

    def free(self, tenant_id: int) -> bool:
        """Whether there is a place for a tenant."""
        return self._taken.total() < self._places and self._taken[tenant_id] < self._of_tenant

    @contextmanager
    def place(self, tenant_id: int) -> Iterator[None]:
        """Take a place inside the block.

        Raises:
            ProblemError: 503: there is none.
        """
        if not self.free(tenant_id):
            raise unavailable(self._refusal)
        self._taken[tenant_id] += 1
        try:
            yield
        finally:
            self._taken[tenant_id] -= 1
            self._taken += Counter()  # forgets tenants that have none
