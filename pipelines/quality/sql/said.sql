-- The increases of a day by sender, role, destination and error. `level` is where an up-down counter stood at its last points.
, series as (
    select
        kind, role, service_name, instance, recorded_by, attributes, resource, temporality, start,
        sum(increase) as increase,
        sum(moment - from_moment) as covered,
        greatest(arg_max(value, moment), 0) as level,
        min(from_moment) as from_unix_nano, max(moment) as to_unix_nano,
        max(shard) as shard
    from increases
    group by all
),

described as (
    select
        *,
        json_extract_string(attributes, '$."error.type"') as error,
        case role
            when 'exported' then coalesce(
                json_extract_string(attributes, '$."server.address"') || ':'
                || coalesce(json_extract_string(attributes, '$."server.port"'), ''),
                json_extract_string(attributes, '$."otel.component.name"'), ''
            )
            when 'processed' then coalesce(json_extract_string(attributes, '$."otel.component.name"'), '')
            else ''
        end as destination
    from series
    where coalesce(json_extract_string(attributes, '$."otel.span.sampling_result"'), 'RECORD_AND_SAMPLE') = 'RECORD_AND_SAMPLE'
)

select
    kind, role, service_name, instance, recorded_by, destination, error,
    -- what one sender counts, however much, keeps no other from being looked at
    least(sum(increase), 9223372036854775807)::bigint as increase,
    least(coalesce(sum(level) filter (temporality = 'CUMULATIVE'), 0), 9223372036854775807)::bigint as level,
    sum(covered) > 0 as covered,
    min(from_unix_nano) as from_unix_nano, max(to_unix_nano) as to_unix_nano,
    max(shard) as shard
from described
group by all
order by all
