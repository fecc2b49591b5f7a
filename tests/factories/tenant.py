import hashlib

import factory

from db.models import ApiKey, Tenant
from db.models.tenant import SCOPES
from tests.factories.base import Factory


class TenantFactory(Factory):
    class Meta:
        model = Tenant

    name = factory.Sequence("tenant-{}".format)


class ApiKeyFactory(Factory):
    """A key whose secret is `secret`."""

    class Meta:
        model = ApiKey
        exclude = ("tenant", "secret")

    tenant = factory.SubFactory(TenantFactory)
    secret = factory.Sequence("ts_secret-{}".format)

    tenant_id = factory.SelfAttribute("tenant.id")
    name = factory.Sequence("key-{}".format)
    prefix = factory.LazyAttribute(lambda key: key.secret[:9])
    digest = factory.LazyAttribute(lambda key: hashlib.sha256(key.secret.encode()).digest())
    scopes = factory.LazyFunction(lambda: sorted(SCOPES))
