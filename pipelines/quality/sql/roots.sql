-- Traces that begin on the day, by the sender of their earliest span: how many have no span without a parent.
with touched as (select distinct trace_id from spans where day = $day and trace_id is not null),

whole as (
    select
        trace_id,
        arg_min(struct_pack(
            day := day, service_name := service_name, instance := json_extract_string(resource, '$."service.instance.id"'),
            recorded_by := recorded_by, shard := shard, log_index := log_index
        ), struct_pack(at := time_unix_nano, shard := shard, log_index := log_index)) as earliest,
        bool_or(parent_span_id is null) as rooted,
        max(received_unix_nano) as received_unix_nano
    from spans
    semi join touched using (trace_id)
    where day between $day - interval 1 day and $day + interval 1 day
    group by trace_id
)

select
    earliest.service_name as service_name, earliest.instance as instance, earliest.recorded_by as recorded_by,
    earliest.shard as shard,
    count(*)::bigint as total,
    (count(*) filter (not rooted))::bigint as unexpected,
    min(earliest.log_index) filter (not rooted) as first_index, max(earliest.log_index) filter (not rooted) as last_index,
    list_sort(min(trace_id, 3) filter (not rooted)) as examples
from whole
where earliest.day = $day and received_unix_nano < $until
group by all
order by all
