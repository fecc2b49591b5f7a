import hashlib

from factory.declarations import LazyAttribute, LazyFunction, SelfAttribute, Sequence, SubFactory

from db.models import ApiKey, Tenant
from db.models.tenant import SCOPES
from tests.factories.base import Factory


class TenantFactory(Factory):
    class Meta:
        model = Tenant

    name = Sequence("tenant-{}".format)


class ApiKeyFactory(Factory):
    """A key whose secret is `secret`."""

    class Meta:
        model = ApiKey
        exclude = ("tenant", "secret")

    tenant = SubFactory(TenantFactory)
    secret = Sequence("ts_secret-{}".format)

    tenant_id = SelfAttribute("tenant.id")
    name = Sequence("key-{}".format)
    prefix = LazyAttribute(lambda key: key.secret[:9])
    digest = LazyAttribute(lambda key: hashlib.sha256(key.secret.encode()).digest())
    scopes = LazyFunction(lambda: sorted(SCOPES))
