-- Who sends what, in which dialect: the dialect is told by the attribute names that only it uses.
with told as (
    select
        tenant_id, recorded_by, service_name, scope_name, received_unix_nano, cost_microusd, input_tokens,
        case
-- a line a dialect
            else 'other'
        end as dialect
    from spans
)
select
    tenant_id, recorded_by, service_name, dialect,
    count(*) as spans,
    count(*) filter (where input_tokens is not null and cost_microusd is null) as cost_unknown,
    max(received_unix_nano) as last_received_unix_nano
from told
group by all
order by tenant_id, spans desc
