with done as (
    select
        day,
        count(*) filter (parent_span_id is null) as runs,
        count(*) as spans,
        count(*) filter (status_code = 'ERROR') as errors,
        sum(coalesce(input_tokens, 0)::hugeint + coalesce(output_tokens, 0)) filter (operation in ('chat', 'generate_content', 'text_completion')) as tokens,
        sum(cost_microusd) filter (operation in ('chat', 'generate_content', 'text_completion')) as cost_microusd
    from spans
    where day >= make_timestamp($first::bigint // 1000)::date
    group by day
),
said as (
    select day, count(*) as events
    from audit_events
    where day >= make_timestamp($first::bigint // 1000)::date
    group by day
)
select
    coalesce(done.day, said.day) as day,
    coalesce(runs, 0) as runs,
    coalesce(spans, 0) as spans,
    coalesce(errors, 0) as errors,
    least(coalesce(tokens, 0), 9223372036854775807)::bigint as tokens,
    case when cost_microusd is not null then least(cost_microusd, 9223372036854775807)::bigint end as cost_microusd,
    coalesce(events, 0) as events
from done full join said on done.day = said.day
order by 1
