-- Records that an SDK counts: spans, log records (audit events are such) and metric points, each with who sent it. Those of muniment.emit are
-- not counted by an SDK, and are numbered instead. A point is counted after the collection that it is part of, hence one nanosecond later.
-- Numbered events and what Muniment recorded itself stand apart: nobody is asked for a counter of them.
, records as (
    select
        'spans' as kind, day, shard, log_index, service_name, recorded_by, resource, time_unix_nano as began,
        coalesce(end_unix_nano, time_unix_nano) as ended, false as apart
    from spans
    where day between $day - interval 1 day and $day
    union all
    select
        'logs', day, shard, log_index, service_name, recorded_by, resource, coalesce(observed_unix_nano, time_unix_nano),
        coalesce(observed_unix_nano, time_unix_nano), coalesce(attributes like '%"audit.sequence.number"%', false)
    from logs
    where day between $day - interval 1 day and $day and coalesce(scope_name, '') <> 'muniment.emit'
    union all
    select
        'logs', day, shard, log_index, service_name, recorded_by, resource, coalesce(observed_unix_nano, time_unix_nano),
        coalesce(observed_unix_nano, time_unix_nano), coalesce(attributes like '%"audit.sequence.number"%', false)
        or (recorded_by not like 'key:%' and coalesce(scope_name = 'muniment', false))
    from audit_events
    where day between $day - interval 1 day and $day and coalesce(scope_name, '') <> 'muniment.emit'
    union all
    select
        'metrics', day, shard, null, service_name, recorded_by, resource, time_unix_nano + 1, time_unix_nano + 1, false
    from metrics
    where day between $day - interval 1 day and $day
)
