with days as (
    select
        day,
        count(*) filter (parent_span_id is null) as runs,
        count(*) as spans,
        count(*) filter (status_code = 'ERROR') as errors,
        sum(coalesce(input_tokens, 0)::hugeint + coalesce(output_tokens, 0))
            filter (operation in ('chat', 'generate_content', 'text_completion')) as tokens,
        sum(cost_microusd) filter (operation in ('chat', 'generate_content', 'text_completion')) as cost_microusd
    from spans
    where day >= make_timestamp($first::bigint // 1000)::date
    group by day
)
-- least() passes over what is unknown: a cost that nobody knows must not become the largest there is
select
    day,
    runs,
    spans,
    errors,
    least(coalesce(tokens, 0), 9223372036854775807)::bigint as tokens,
    case when cost_microusd is not null then least(cost_microusd, 9223372036854775807)::bigint end as cost_microusd
from days
order by day
