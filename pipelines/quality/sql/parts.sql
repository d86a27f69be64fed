-- Records that say that their SDK dropped parts of them, by sender and table.
with records as (
    select
        'spans' as source_table, service_name, recorded_by, resource, shard, log_index,
        coalesce(dropped_attributes_count, 0) as attributes, coalesce(dropped_events_count, 0) as events,
        coalesce(dropped_links_count, 0) as links
    from spans
    where day = $day
    union all
    select
        'audit_events', service_name, recorded_by, resource, shard, log_index, coalesce(dropped_attributes_count, 0), 0, 0
    from audit_events
    where day = $day
    union all
    select
        'logs', service_name, recorded_by, resource, shard, log_index, coalesce(dropped_attributes_count, 0), 0, 0
    from logs
    where day = $day
),

judged as (select *, attributes + events + links > 0 as unexpected from records)

select
    source_table, service_name, json_extract_string(resource, '$."service.instance.id"') as instance, recorded_by, shard,
    count(*)::bigint as total,
    (count(*) filter (unexpected))::bigint as unexpected,
    sum(attributes)::bigint as attributes, sum(events)::bigint as events, sum(links)::bigint as links,
    min(log_index) filter (unexpected) as first_index, max(log_index) filter (unexpected) as last_index
from judged
group by all
order by all
