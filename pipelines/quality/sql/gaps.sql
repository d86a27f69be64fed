-- Gaps, each with the rows on both sides of it.
select
    stream, place.service_name as service_name, place.instance as instance, place.recorded_by as recorded_by,
    number_before + 1 as first_missing, number - 1 as last_missing, missing,
    place_before.shard as shard_before, place_before.log_index as index_before,
    place.shard as shard_after, place.log_index as index_after
from judged
where missing > 0
order by stream, number
limit $most
