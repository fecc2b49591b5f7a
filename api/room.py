"""Bytes that many share, of which nobody keeps all others out."""

from collections import Counter


class Room:
    """So many bytes of memory, in one event loop; no tenant has more than half of them."""

    def __init__(self, size: int) -> None:
        self._left = size
        self._most = size // 2
        self._taken: Counter[int] = Counter()

    def take(self, tenant_id: int, count: int) -> bool:
        """Take some for a tenant, if there are so many for it; whether there were."""
        if count > min(self._left, self._most - self._taken[tenant_id]):
            return False
        self._left -= count
        self._taken[tenant_id] += count
        return True

    def give_back(self, tenant_id: int, count: int) -> None:
        """What was taken is free again."""
        self._left += count
        self._taken[tenant_id] -= count
        if not self._taken[tenant_id]:
            del self._taken[tenant_id]
