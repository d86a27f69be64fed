-- Spans that name a parent, by sender: how many of these parents are not there, and how many of those belong to another process
-- (OTLP span flags: bit 8 says that bit 9 is known, bit 9 that the parent is remote).
with children as (
    select
        service_name, json_extract_string(resource, '$."service.instance.id"') as instance, recorded_by, shard, log_index, trace_id,
        coalesce(flags & 768 = 768, false) as remote,
        not exists (
            select 1 from spans as parent
            where parent.trace_id = child.trace_id and parent.span_id = child.parent_span_id
                and parent.day between $day - interval 1 day and $day + interval 1 day
        ) as unexpected
    from spans as child
    where day = $day and parent_span_id is not null and received_unix_nano < $until
)

select
    service_name, instance, recorded_by, shard,
    count(*)::bigint as total,
    (count(*) filter (unexpected))::bigint as unexpected,
    (count(*) filter (unexpected and remote))::bigint as remote,
    min(log_index) filter (unexpected) as first_index, max(log_index) filter (unexpected) as last_index,
    list_sort(list_distinct(min(trace_id, 50) filter (unexpected)))[1:3] as examples
from children
group by all
order by all
