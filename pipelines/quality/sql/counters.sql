-- What the SDKs of senders say in metrics `otel.sdk.*`, as increases of a day: a row a series and point, with the interval that it covers.
-- A series is one counter of one process, told by resource, attributes and start. Points are put in order by their own time, so that it does
-- not matter in which they came, and one that came twice counts once.
with meters (name, kind, role) as (
    values
        ('otel.sdk.exporter.span.exported', 'spans', 'exported'),
        ('otel.sdk.exporter.span.exported.count', 'spans', 'exported'),
        ('otel.sdk.processor.span.processed', 'spans', 'processed'),
        ('otel.sdk.processor.span.processed.count', 'spans', 'processed'),
        ('otel.sdk.span.started', 'spans', 'made'),
        ('otel.sdk.span.created.count', 'spans', 'made'),
        ('otel.sdk.span.live', 'spans', 'open'),
        ('otel.sdk.span.live.count', 'spans', 'open'),
        ('otel.sdk.exporter.log.exported', 'logs', 'exported'),
        ('otel.sdk.exporter.log.exported.count', 'logs', 'exported'),
        ('otel.sdk.processor.log.processed', 'logs', 'processed'),
        ('otel.sdk.processor.log.processed.count', 'logs', 'processed'),
        ('otel.sdk.log.created', 'logs', 'made'),
        ('otel.sdk.log.created.count', 'logs', 'made'),
        ('otel.sdk.exporter.metric_data_point.exported', 'metrics', 'exported'),
        ('otel.sdk.exporter.metric_data_point.exported.count', 'metrics', 'exported')
),

points as (
    select
        meters.kind, meters.role, sent.day, sent.service_name, sent.resource, sent.attributes, sent.temporality, sent.start,
        sent.time_unix_nano as moment,
        json_extract_string(sent.resource, '$."service.instance.id"') as instance,
        max(coalesce(sent.value_int, try_cast(sent.value as bigint)))::hugeint as value,
        max(sent.recorded_by) as recorded_by,
        max(sent.shard) as shard
    from metrics as sent
    join meters on meters.name = sent.name
    where sent.day between $day - interval 1 day and $day
        and sent.type = 'sum' and sent.temporality is not null
        and sent.time_unix_nano <= $until
    group by all
),

steps as (
    select
        *,
        lag(value) over series as before,
        lag(moment) over series as before_moment,
        lag(recorded_by) over series as before_recorded_by
    from points
    window series as (
        partition by kind, role, service_name, resource, attributes, temporality, start order by moment
    )
),

-- From zero: a first point whose counter started where points are still looked for. Any other first point is only what the next one is
-- compared with; so is one that another key sent, as the two cannot be told apart in between.
told as (
    select
        *,
        case
            when temporality = 'DELTA' then 'delta'
            when before is null and start >= $since then 'zero'
            when before is null or before_recorded_by <> recorded_by then 'unknown'
            when value < before then 'reset'
            else 'longer'
        end as manner
    from steps
),

increases as (
    select
        kind, role, service_name, instance, recorded_by, resource, attributes, temporality, start, shard, moment, value, manner,
        case manner when 'unknown' then 0 when 'longer' then value - before else value end as increase,
        case
            when manner in ('delta', 'zero') then least(coalesce(start, moment), moment)
            when manner = 'unknown' then moment
            else before_moment
        end as from_moment
    from told
    where day = $day
)
