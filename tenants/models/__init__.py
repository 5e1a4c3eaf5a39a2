from tenants.models.access import ApiToken, IdempotencyRecord
from tenants.models.actions import Action, ActionRun, RunResult, RunTrigger
from tenants.models.billing import BillingAccount, EventCursor, PaymentEvent, PlanPrice
from tenants.models.clouds import Cell, Cloud, Installation
from tenants.models.data import Collection, DataKey, DataServer
from tenants.models.desk import DeskDay
from tenants.models.gate import AppSignIn, GateChange, GateChangeKind, RevokedSession, SignInCode
from tenants.models.instances import HOLDING_COMPUTE, Instance, InstanceMicro, Wanted
from tenants.models.operations import Event, Operation, OperationKind, OperationStep
from tenants.models.people import OperatorRole, RetiredHandle, User
from tenants.models.plans import Allowance, Interval, Override, Plan, Quota, RateClass
from tenants.models.sharing import AppKey, Share
from tenants.models.sleeping import Drain, DrainAnswer, Gate
from tenants.models.transfers import Export, Import
from tenants.models.usage import BUILDS, MeterReading, UsageCount, UsageEvent, UsageHour, UsageMonth

__all__ = [
    "BUILDS",
    "HOLDING_COMPUTE",
    "Action",
    "ActionRun",
    "Allowance",
    "ApiToken",
    "AppKey",
    "AppSignIn",
    "BillingAccount",
    "Cell",
    "Cloud",
    "Collection",
    "DataKey",
    "DataServer",
    "DeskDay",
    "Drain",
    "DrainAnswer",
    "Event",
    "EventCursor",
    "Export",
    "Gate",
    "GateChange",
    "GateChangeKind",
    "IdempotencyRecord",
    "Import",
    "Installation",
    "Instance",
    "InstanceMicro",
    "MeterReading",
    "Interval",
    "Operation",
    "OperationKind",
    "OperationStep",
    "OperatorRole",
    "Override",
    "PaymentEvent",
    "Plan",
    "PlanPrice",
    "Quota",
    "RateClass",
    "RetiredHandle",
    "RevokedSession",
    "RunResult",
    "RunTrigger",
    "Share",
    "SignInCode",
    "UsageCount",
    "UsageEvent",
    "UsageHour",
    "UsageMonth",
    "User",
    "Wanted",
]
