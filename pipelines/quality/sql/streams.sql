-- One row a stream, sender and shard; `begins_at` is the stream's lowest number of all where that is of the day.
select
    stream, place.service_name as service_name, place.instance as instance, place.recorded_by as recorded_by, place.shard as shard,
    count(*)::bigint as arrived,
    least(sum(missing), 9223372036854775807)::bigint as missing,
    sum(extra)::bigint as extra,
    (count(*) filter (missing > 0))::bigint as gaps,
    min(number) filter (number_before is null) as begins_at,
    min(number) as first_number, max(number) as last_number,
    min(place.log_index) filter (missing > 0 or extra > 0) as first_index,
    max(place.log_index) filter (missing > 0 or extra > 0) as last_index
from judged
group by all
order by all
