from tenants.models.access import ApiToken, IdempotencyRecord
from tenants.models.clouds import Cell, Cloud, Installation, Plan, Quota
from tenants.models.gate import AppSignIn, GateChange, GateChangeKind, RevokedSession, SignInCode
from tenants.models.instances import HOLDING_COMPUTE, Instance, InstanceMicro, Wanted
from tenants.models.operations import Event, Operation, OperationKind, OperationStep
from tenants.models.people import RetiredHandle, User

__all__ = [
    "HOLDING_COMPUTE",
    "ApiToken",
    "AppSignIn",
    "Cell",
    "Cloud",
    "Event",
    "GateChange",
    "GateChangeKind",
    "IdempotencyRecord",
    "Installation",
    "Instance",
    "InstanceMicro",
    "Operation",
    "OperationKind",
    "OperationStep",
    "Plan",
    "Quota",
    "RetiredHandle",
    "RevokedSession",
    "SignInCode",
    "User",
    "Wanted",
]
