-- Who sent records of the day that an SDK would count, whether or not it did.
select
    kind, service_name, json_extract_string(resource, '$."service.instance.id"') as instance, recorded_by, shard,
    count(*)::bigint as arrived,
    min(log_index) as first_index, max(log_index) as last_index
from records
where day = $day and not apart and recorded_by not like 'muniment:%'
group by all
order by all
