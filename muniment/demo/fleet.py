"""The fleet: three invented companies, the agents that work for them, the models and tools that those use.

Plain data. What the agents do stands in `muniment.demo.scenario`, how they say it in `muniment.demo.dialects`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Protocol(StrEnum):
    """OTLP transport that a service exports over."""

    GRPC = "grpc"
    HTTP = "http"


class Dialect(StrEnum):
    """Attribute vocabulary of a service's spans."""

    GEN_AI = "gen_ai"
    OPENINFERENCE = "openinference"
    VERCEL = "vercel"
    TRACELOOP = "traceloop"
    NONE = "none"


class Curve(StrEnum):
    """Shape of a day's load."""

    OFFICE = "office"
    CONSUMER = "consumer"
    CONSTANT = "constant"


@dataclass(frozen=True)
class Model:
    """A model: who serves it, what it costs in US dollars per million tokens, how fast it answers."""

    provider: str
    name: str
    response_name: str
    input_usd: float
    output_usd: float
    first_token_seconds: float
    seconds_per_token: float
    address: str


@dataclass(frozen=True)
class Tool:
    """A tool: median duration, share of calls that fail on the first attempt, and how."""

    name: str
    median_seconds: float
    failing_share: float
    error_type: str
    description: str


@dataclass(frozen=True)
class Service:
    """Something that exports telemetry for a tenant."""

    tenant: str
    service_name: str
    protocol: Protocol
    source_address: str
    version: str


@dataclass(frozen=True)
class Agent(Service):
    """An AI agent: a service that calls models and tools.

    `runs_per_weekday` is the mean number of runs on a weekday at scale 1, `weekend_share` what is left of it on a
    Saturday or Sunday. `home_region` is where its tenant allows models to run.
    """

    id: str
    name: str
    dialect: Dialect
    scope_name: str
    scope_version: str
    model: Model
    tools: tuple[Tool, ...]
    runs_per_weekday: int
    weekend_share: float
    curve: Curve
    instructions: str
    home_region: str

    def tool(self, name: str) -> Tool:
        """The tool called `name`; a scenario that names another is wrong and gets a `KeyError`."""
        return {tool.name: tool for tool in self.tools}[name]


@dataclass(frozen=True)
class Tenant:
    """One company, its human staff by role, and its agents. `utc_offset_hours` shifts its working day."""

    id: str
    name: str
    domain: str
    country: str
    utc_offset_hours: int
    approvers: tuple[str, ...]
    agents: tuple[Agent, ...]

    @property
    def runtime(self) -> Service:
        """The orchestration runtime: it records registrations, decisions of humans and changes, and calls no model."""
        return Service(
            tenant=self.id,
            service_name=f"{self.id.split('-')[0]}-agent-runtime",
            protocol=Protocol.GRPC,
            source_address="10.20.0.2",
            version="2.8.1",
        )


GPT_4_1 = Model("openai", "gpt-4.1", "gpt-4.1-2025-04-14", 2.0, 8.0, 0.62, 0.011, "api.openai.com")
GPT_4_1_MINI = Model("openai", "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14", 0.4, 1.6, 0.41, 0.007, "api.openai.com")
GPT_4O_MINI = Model("openai", "gpt-4o-mini", "gpt-4o-mini-2024-07-18", 0.15, 0.6, 0.38, 0.008, "api.openai.com")
CLAUDE_SONNET = Model(
    "anthropic", "claude-sonnet-4-5", "claude-sonnet-4-5-20250929", 3.0, 15.0, 0.85, 0.013, "api.anthropic.com"
)
CLAUDE_HAIKU = Model(
    "anthropic", "claude-haiku-4-5", "claude-haiku-4-5-20251001", 1.0, 5.0, 0.45, 0.006, "api.anthropic.com"
)
MISTRAL_LARGE = Model(
    "mistral_ai", "mistral-large-latest", "mistral-large-2411", 2.0, 6.0, 0.55, 0.012, "api.mistral.ai"
)
LLAMA = Model("self_hosted", "llama-3.3-70b-instruct", "llama-3.3-70b-instruct", 0.0, 0.0, 0.33, 0.019, "llm.internal")

NORTHWIND = "northwind-retail"
HALDEN = "halden-health"
AURORA = "aurora-bank"

SUPPORT = Agent(
    tenant=NORTHWIND,
    service_name="support-concierge",
    protocol=Protocol.HTTP,
    source_address="10.20.1.11",
    version="4.2.0",
    id="agt-nw-support",
    name="Support Concierge",
    dialect=Dialect.VERCEL,
    scope_name="ai",
    scope_version="6.0.68",
    model=GPT_4O_MINI,
    tools=(
        Tool("lookup_order", 0.12, 0.006, "NotFoundError", "Find an order and its parcels"),
        Tool("issue_refund", 0.48, 0.010, "PaymentProviderError", "Refund an order in part or in full"),
        Tool("update_contact", 0.09, 0.004, "ValidationError", "Change a customer's contact data"),
        Tool("send_message", 0.21, 0.004, "SmtpError", "Write to the customer"),
    ),
    runs_per_weekday=62,
    weekend_share=0.72,
    curve=Curve.CONSUMER,
    instructions="You help customers of Northwind Retail with orders, returns and refunds. Be brief and kind.",
    home_region="eu-west-2",
)
PROCUREMENT = Agent(
    tenant=NORTHWIND,
    service_name="procurement-buyer",
    protocol=Protocol.GRPC,
    source_address="10.20.1.12",
    version="1.9.3",
    id="agt-nw-procurement",
    name="Procurement Buyer",
    dialect=Dialect.GEN_AI,
    scope_name="opentelemetry.instrumentation.openai_v2",
    scope_version="2.3b0",
    model=GPT_4_1,
    tools=(
        Tool("search_suppliers", 0.34, 0.008, "TimeoutError", "Search the supplier catalogue"),
        Tool("create_purchase_order", 0.66, 0.008, "ErpError", "Place a purchase order in the ERP"),
        Tool("check_budget", 0.15, 0.004, "ErpError", "Read what is left of a cost centre's budget"),
        Tool("change_supplier_bank_account", 0.30, 0.0, "ErpError", "Change where a supplier is paid"),
    ),
    runs_per_weekday=20,
    weekend_share=0.06,
    curve=Curve.OFFICE,
    instructions="You buy goods for Northwind Retail within budget. Compare at least two suppliers.",
    home_region="eu-west-2",
)
FINANCE = Agent(
    tenant=NORTHWIND,
    service_name="finance-ledger",
    protocol=Protocol.GRPC,
    source_address="10.20.1.13",
    version="3.0.5",
    id="agt-nw-finance",
    name="Finance Ledger",
    dialect=Dialect.GEN_AI,
    scope_name="opentelemetry.instrumentation.anthropic",
    scope_version="0.47.5",
    model=CLAUDE_HAIKU,
    tools=(
        Tool("fetch_invoice", 0.18, 0.006, "NotFoundError", "Read an invoice and its lines"),
        Tool("match_purchase_order", 0.27, 0.008, "ErpError", "Match an invoice against its order"),
        Tool("schedule_payment", 0.52, 0.008, "BankGatewayError", "Schedule a bank transfer"),
        Tool("change_supplier_bank_account", 0.30, 0.0, "ErpError", "Change where a supplier is paid"),
    ),
    runs_per_weekday=34,
    weekend_share=0.15,
    curve=Curve.OFFICE,
    instructions="You match invoices with orders and prepare payments. Never pay without a match.",
    home_region="eu-west-2",
)
CLAIMS = Agent(
    tenant=HALDEN,
    service_name="claims-adjuster",
    protocol=Protocol.GRPC,
    source_address="10.30.1.21",
    version="2.6.0",
    id="agt-hh-claims",
    name="Claims Adjuster",
    dialect=Dialect.GEN_AI,
    scope_name="opentelemetry.instrumentation.mistralai",
    scope_version="0.47.5",
    model=MISTRAL_LARGE,
    tools=(
        Tool("extract_documents", 1.10, 0.010, "OcrError", "Read what is on the claim's documents"),
        Tool("check_eligibility", 0.38, 0.006, "TimeoutError", "Ask the insurer's system what a policy covers"),
        Tool("settle_claim", 0.57, 0.006, "CoreSystemError", "Pay out a claim"),
    ),
    runs_per_weekday=38,
    weekend_share=0.10,
    curve=Curve.OFFICE,
    instructions="You assess health insurance claims. Health data stays on models in the EU.",
    home_region="eu-central-1",
)
INTAKE = Agent(
    tenant=HALDEN,
    service_name="patient-intake",
    protocol=Protocol.HTTP,
    source_address="10.30.1.22",
    version="5.1.2",
    id="agt-hh-intake",
    name="Patient Intake",
    dialect=Dialect.OPENINFERENCE,
    scope_name="openinference.instrumentation.langchain",
    scope_version="0.1.54",
    model=CLAUDE_SONNET,
    tools=(
        Tool("find_appointment", 0.22, 0.006, "TimeoutError", "Search free appointments"),
        Tool("save_anamnesis", 0.31, 0.006, "FhirError", "Store the intake note in the patient's record"),
        Tool("book_appointment", 0.35, 0.010, "ConflictError", "Book an appointment"),
    ),
    runs_per_weekday=46,
    weekend_share=0.55,
    curve=Curve.CONSUMER,
    instructions="You talk with patients before their appointment and write the intake note. You give no diagnosis.",
    home_region="eu-central-1",
)
HR = Agent(
    tenant=HALDEN,
    service_name="hr-partner",
    protocol=Protocol.HTTP,
    source_address="10.30.1.23",
    version="1.3.8",
    id="agt-hh-hr",
    name="HR Partner",
    dialect=Dialect.TRACELOOP,
    scope_name="opentelemetry.instrumentation.langchain",
    scope_version="0.47.5",
    model=GPT_4_1_MINI,
    tools=(
        Tool("search_policies", 0.20, 0.004, "TimeoutError", "Search the handbook"),
        Tool("read_personnel_file", 0.16, 0.004, "PermissionError", "Read an employee's file"),
        Tool("submit_leave", 0.26, 0.006, "HrisError", "Submit a leave request"),
    ),
    runs_per_weekday=22,
    weekend_share=0.08,
    curve=Curve.OFFICE,
    instructions="You answer questions of Halden's employees about work, pay and leave, from the handbook alone.",
    home_region="eu-central-1",
)
LENDING = Agent(
    tenant=AURORA,
    service_name="loan-officer",
    protocol=Protocol.GRPC,
    source_address="10.40.1.31",
    version="2.2.0",
    id="agt-ab-loan",
    name="Loan Officer",
    dialect=Dialect.GEN_AI,
    scope_name="opentelemetry.instrumentation.anthropic",
    scope_version="0.47.5",
    model=CLAUDE_SONNET,
    tools=(
        Tool("pull_credit_report", 0.74, 0.010, "BureauTimeout", "Ask the credit bureau"),
        Tool("score_application", 0.29, 0.004, "ScoringError", "Compute the credit score"),
        Tool("disburse_loan", 0.83, 0.006, "CoreBankingError", "Pay out a loan"),
    ),
    runs_per_weekday=14,
    weekend_share=0.20,
    curve=Curve.OFFICE,
    instructions="You prepare loan decisions for Aurora Bank. A human approves each payout.",
    home_region="eu-west-1",
)
FRAUD = Agent(
    tenant=AURORA,
    service_name="fraud-sentinel",
    protocol=Protocol.HTTP,
    source_address="10.40.1.32",
    version="7.0.1",
    id="agt-ab-fraud",
    name="Fraud Sentinel",
    dialect=Dialect.OPENINFERENCE,
    scope_name="openinference.instrumentation.openai",
    scope_version="0.1.40",
    model=GPT_4_1_MINI,
    tools=(
        Tool("fetch_transactions", 0.17, 0.006, "TimeoutError", "Read an account's recent transactions"),
        Tool("score_device", 0.11, 0.004, "TimeoutError", "Score the device of a session"),
        Tool("freeze_card", 0.24, 0.006, "CardSystemError", "Freeze a payment card"),
    ),
    runs_per_weekday=64,
    weekend_share=0.90,
    curve=Curve.CONSTANT,
    instructions="You look at card alerts and decide: release, watch or freeze.",
    home_region="eu-west-1",
)
IT_SERVICE = Agent(
    tenant=AURORA,
    service_name="it-service-desk",
    protocol=Protocol.GRPC,
    source_address="10.40.1.33",
    version="1.0.14",
    id="agt-ab-it",
    name="IT Service Desk",
    dialect=Dialect.GEN_AI,
    scope_name="aurora.servicedesk",
    scope_version="1.0.14",
    model=LLAMA,
    tools=(
        Tool("search_runbooks", 0.19, 0.004, "TimeoutError", "Search the runbooks"),
        Tool("reset_password", 0.28, 0.006, "DirectoryError", "Reset a password"),
        Tool("grant_group", 0.33, 0.006, "DirectoryError", "Add an employee to a directory group"),
        Tool("restart_service", 1.90, 0.014, "OrchestratorError", "Restart a service"),
    ),
    runs_per_weekday=38,
    weekend_share=0.22,
    curve=Curve.OFFICE,
    instructions="You solve IT tickets of Aurora's employees with the tools that the runbooks name.",
    home_region="eu-west-1",
)

TENANTS: tuple[Tenant, ...] = (
    Tenant(
        NORTHWIND,
        "Northwind Retail",
        "northwind.example",
        "GB",
        0,
        ("m.okafor", "p.hartley", "s.lindgren"),
        (SUPPORT, PROCUREMENT, FINANCE),
    ),
    Tenant(
        HALDEN,
        "Halden Health",
        "halden.example",
        "DE",
        1,
        ("a.brandt", "k.vogel", "t.nowak"),
        (CLAIMS, INTAKE, HR),
    ),
    Tenant(
        AURORA,
        "Aurora Bank",
        "aurora.example",
        "GB",
        0,
        ("e.castellan", "r.desai", "j.moreau"),
        (LENDING, FRAUD, IT_SERVICE),
    ),
)
AGENTS: tuple[Agent, ...] = tuple(agent for tenant in TENANTS for agent in tenant.agents)


def tenant_names() -> tuple[str, ...]:
    """Names of the demo's tenants: make them, and a key each, before `run_demo`."""
    return tuple(tenant.id for tenant in TENANTS)


def tenant_of(service: Service) -> Tenant:
    """The tenant that a service belongs to."""
    return next(tenant for tenant in TENANTS if tenant.id == service.tenant)
