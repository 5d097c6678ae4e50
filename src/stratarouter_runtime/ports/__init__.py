"""Every seam of the runtime, as Protocols: what the shell needs, said in the domain's words."""

from stratarouter_runtime.ports.agents import (
    WITHDRAWN,
    Agent,
    AgentCall,
    AgentReply,
    Agents,
    Cell,
    Cells,
    Flows,
    Grouped,
    Groups,
    Isolation,
    Operation,
    Policies,
    manner_of,
)
from stratarouter_runtime.ports.callers import Caller, Door, Scope
from stratarouter_runtime.ports.journals import ENDED, Catalog, Deployed, Execution, Journal, Status
from stratarouter_runtime.ports.keeping import Keeping, Orphans, Past, Size
from stratarouter_runtime.ports.machine import Clock, Entropy
from stratarouter_runtime.ports.meaning import Asked, Compared, Core, CoreTable, Embedder, Scorer, Switch
from stratarouter_runtime.ports.observation import Observer, Source
from stratarouter_runtime.ports.reuse import CacheEntry, CacheStore, Generation, Holding, Reuse, Selection
from stratarouter_runtime.ports.stores import Audit, Kept, Quotas, Shelf, Snapshots, Store

__all__ = [
    "ENDED",
    "WITHDRAWN",
    "Agent",
    "AgentCall",
    "AgentReply",
    "Agents",
    "Asked",
    "Audit",
    "CacheEntry",
    "CacheStore",
    "Caller",
    "Catalog",
    "Cell",
    "Cells",
    "Clock",
    "Compared",
    "Core",
    "CoreTable",
    "Deployed",
    "Door",
    "Embedder",
    "Entropy",
    "Execution",
    "Flows",
    "Generation",
    "Grouped",
    "Groups",
    "Holding",
    "Isolation",
    "Journal",
    "Keeping",
    "Kept",
    "Observer",
    "Operation",
    "Orphans",
    "Past",
    "Policies",
    "Quotas",
    "Reuse",
    "Scope",
    "Scorer",
    "Selection",
    "Shelf",
    "Size",
    "Snapshots",
    "Source",
    "Status",
    "Store",
    "Switch",
    "manner_of",
]
