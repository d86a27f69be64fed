-- How many records came of the time that the counters cover. `arrived` has those too that ended up to $border before it, which may have been
-- counted in it; of `certain` ones that is sure.
, intervals as (
    select
        kind, role, service_name, instance, recorded_by, moment,
        -- an instance id is one process: whatever it sent before was counted too
        case when manner = 'zero' and instance is not null then 0 else from_at end as from_at
    from increases
    where role in ('exported', 'processed', 'made') and from_at < moment
),

reached as (
    select
        *,
        max(moment) over (
            partition by kind, role, service_name, instance, recorded_by order by from_at, moment
            rows between unbounded preceding and 1 preceding
        ) as until_at
    from intervals
),

numbered as (
    select
        *,
        sum(case when until_at is null or from_at > until_at + $border then 1 else 0 end) over (
            partition by kind, role, service_name, instance, recorded_by order by from_at, moment
            rows between unbounded preceding and current row
        ) as stretch
    from reached
),

stretches as (
    select kind, role, service_name, instance, recorded_by, stretch, min(from_at) as from_at, max(moment) as to_at
    from numbered
    group by all
),

matched as (
    select
        stretches.kind, stretches.role, stretches.service_name, stretches.instance, stretches.recorded_by,
        records.shard, records.log_index,
        case stretches.role when 'made' then records.began else records.ended end as moment,
        stretches.from_at, stretches.to_at
    from records
    join stretches
        on stretches.kind = records.kind
        and stretches.service_name is not distinct from records.service_name
        and stretches.recorded_by is not distinct from records.recorded_by
        and stretches.instance is not distinct from json_extract_string(records.resource, '$."service.instance.id"')
        and case stretches.role when 'made' then records.began else records.ended end > stretches.from_at - $border
        and case stretches.role when 'made' then records.began else records.ended end <= stretches.to_at
)

select
    kind, role, service_name, instance, recorded_by, shard,
    count(*)::bigint as arrived,
    (count(*) filter (moment > from_at and moment <= to_at - $border))::bigint as certain,
    min(log_index) as first_index, max(log_index) as last_index
from matched
group by all
order by all
