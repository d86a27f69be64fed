-- How many records came of the time that the counters cover: loosely, with those that may have been counted in it, and strictly, with those
-- alone of which that is sure. Both ends are $border wide. What came before a process's first point, and after the last point of the one
-- before it, may be of either.
, intervals as (
    select kind, role, service_name, instance, recorded_by, moment, false as loose, from_moment
    from increases
    where role in ('exported', 'processed', 'made') and from_moment < moment
    union all
    select
        kind, role, service_name, instance, recorded_by, moment, true,
        case
            when manner = 'zero' then coalesce((
                select max(earlier.moment) from points as earlier
                where earlier.kind = increases.kind and earlier.role = increases.role
                    and earlier.recorded_by = increases.recorded_by
                    and earlier.service_name is not distinct from increases.service_name
                    and earlier.instance is not distinct from increases.instance
                    and earlier.moment <= increases.start
            ), 0)
            else from_moment
        end
    from increases
    where role in ('exported', 'processed', 'made') and from_moment < moment
),

reached as (
    select
        *,
        max(moment) over (
            partition by loose, kind, role, service_name, instance, recorded_by order by from_moment, moment
            rows between unbounded preceding and 1 preceding
        ) as until_moment
    from intervals
),

numbered as (
    select
        *,
        sum(case
            when until_moment is null or from_moment > until_moment + case when loose then $border else 0 end then 1
            else 0
        end) over (
            partition by loose, kind, role, service_name, instance, recorded_by order by from_moment, moment
            rows between unbounded preceding and current row
        ) as stretch
    from reached
),

whole as (
    select
        loose, kind, role, service_name, instance, recorded_by, stretch,
        min(from_moment) as from_moment, max(moment) as to_moment
    from numbered
    group by all
),

stretches as (
    select
        * replace (
            from_moment - case when loose then $border else 0 end as from_moment,
            to_moment - case when loose then 0 else $border end as to_moment
        )
    from whole
)

select
    stretches.kind, stretches.role, stretches.service_name, stretches.instance, stretches.recorded_by, records.shard,
    (count(*) filter (loose))::bigint as arrived,
    (count(*) filter (not loose))::bigint as certain,
    min(log_index) filter (loose) as first_index, max(log_index) filter (loose) as last_index
from records
join stretches
    on stretches.kind = records.kind
    and stretches.service_name is not distinct from records.service_name
    and stretches.recorded_by is not distinct from records.recorded_by
    and stretches.instance is not distinct from json_extract_string(records.resource, '$."service.instance.id"')
    and case stretches.role when 'made' then records.began else records.ended end > stretches.from_moment
    and case stretches.role when 'made' then records.began else records.ended end <= stretches.to_moment
group by all
order by all
