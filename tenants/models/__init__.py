from tenants.models.access import ApiToken, IdempotencyRecord
from tenants.models.actions import Action, ActionRun, RunResult, RunTrigger
from tenants.models.billing import (
    BillingAccount,
    EventCursor,
    PaymentEvent,
    PaymentEventCount,
    PaymentOutcome,
    PlanPrice,
)
from tenants.models.clouds import Cell, Cloud, Installation
from tenants.models.data import Collection, DataKey, DataServer
from tenants.models.desk import DeskDay
from tenants.models.dunning import Arrears, ArrearsMail, CloudHold, HoldCause
from tenants.models.gate import AppSignIn, GateChange, GateChangeKind, RevokedSession, SignInCode
from tenants.models.instances import HOLDING_COMPUTE, Instance, InstanceMicro, Wanted
from tenants.models.limits import Limited, LimitMark, LimitNotice, TrafficCap
from tenants.models.operations import Event, Operation, OperationKind, OperationStep
from tenants.models.people import OperatorRole, RetiredHandle, User
from tenants.models.plans import Allowance, Interval, Override, Plan, Quota, RateClass
from tenants.models.sharing import AppKey, Share
from tenants.models.sleeping import Drain, DrainAnswer, Gate
from tenants.models.transfers import Export, Import
from tenants.models.usage import (
    BUILDS,
    DATA,
    ClosedMonth,
    MeterReading,
    PlanPeriod,
    StatementLine,
    UsageCount,
    UsageEvent,
    UsageHour,
    UsageMonth,
)

__all__ = [
    "BUILDS",
    "DATA",
    "HOLDING_COMPUTE",
    "Action",
    "ActionRun",
    "Allowance",
    "ApiToken",
    "AppKey",
    "AppSignIn",
    "Arrears",
    "ArrearsMail",
    "BillingAccount",
    "Cell",
    "ClosedMonth",
    "Cloud",
    "CloudHold",
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
    "HoldCause",
    "IdempotencyRecord",
    "Import",
    "Installation",
    "Instance",
    "InstanceMicro",
    "LimitMark",
    "LimitNotice",
    "Limited",
    "MeterReading",
    "Interval",
    "Operation",
    "OperationKind",
    "OperationStep",
    "OperatorRole",
    "Override",
    "PaymentEvent",
    "PaymentEventCount",
    "PaymentOutcome",
    "Plan",
    "PlanPeriod",
    "PlanPrice",
    "Quota",
    "RateClass",
    "RetiredHandle",
    "RevokedSession",
    "RunResult",
    "RunTrigger",
    "Share",
    "SignInCode",
    "StatementLine",
    "TrafficCap",
    "UsageCount",
    "UsageEvent",
    "UsageHour",
    "UsageMonth",
    "User",
    "Wanted",
]
