-- Streams of numbered events: those with an event on the day, and the gaps whose later side is of the day. A number that came twice counts
-- once, whenever it came; another event under a number that is taken is an extra one.
with events as (
    select
        day, received_unix_nano, service_name, recorded_by, shard, log_index, attributes,
        json_extract_string(resource, '$."service.instance.id"') as instance
    from audit_events
    where day between $from_day and $to_day and attributes like '%"audit.sequence.number"%'
    union all
    select
        day, received_unix_nano, service_name, recorded_by, shard, log_index, attributes,
        json_extract_string(resource, '$."service.instance.id"')
    from logs
    where day between $from_day and $to_day and attributes like '%"audit.sequence.number"%'
),

named as (
    select
        *,
        json_extract_string(attributes, '$."audit.sequence.stream"') as stream,
        try_cast(json_extract_string(attributes, '$."audit.sequence.number"') as bigint) as number,
        json_extract_string(attributes, '$."audit.record.id"') as record_id
    from events
),

known as (
    select
        stream, number,
        arg_min(struct_pack(
            day := day, received := received_unix_nano, service_name := service_name, instance := instance,
            recorded_by := recorded_by, shard := shard, log_index := log_index
        ), struct_pack(received := received_unix_nano, shard := shard, log_index := log_index)) as place,
        greatest(count(distinct record_id), 1) - 1 as extra
    from named
    where stream is not null and number >= 0 and ($streams is null or list_contains($streams, stream))
    group by stream, number
),

pairs as (
    select
        *,
        lag(number) over stream_order as number_before,
        lag(place) over stream_order as place_before
    from known
    window stream_order as (partition by stream order by number)
),

judged as (
    select
        *,
        coalesce(number - number_before - 1, 0) as missing
    from pairs
    where place.day = $day and place.received < $until
)
