from tenants.models.access import ApiToken, IdempotencyRecord
from tenants.models.actions import Action, ActionMonth, ActionRun, RunResult, RunTrigger
from tenants.models.clouds import Cell, Cloud, Installation, Plan, Quota
from tenants.models.data import Collection, DataKey, DataServer
from tenants.models.gate import AppSignIn, GateChange, GateChangeKind, RevokedSession, SignInCode
from tenants.models.instances import HOLDING_COMPUTE, Instance, InstanceMicro, Wanted
from tenants.models.operations import Event, Operation, OperationKind, OperationStep
from tenants.models.people import RetiredHandle, User
from tenants.models.transfers import Export, Import

__all__ = [
    "HOLDING_COMPUTE",
    "Action",
    "ActionMonth",
    "ActionRun",
    "ApiToken",
    "AppSignIn",
    "Cell",
    "Cloud",
    "Collection",
    "DataKey",
    "DataServer",
    "Event",
    "Export",
    "GateChange",
    "GateChangeKind",
    "IdempotencyRecord",
    "Import",
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
    "RunResult",
    "RunTrigger",
    "SignInCode",
    "User",
    "Wanted",
]
