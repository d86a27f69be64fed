select day, count(*) as events
from audit_events
where day >= make_timestamp($first::bigint // 1000)::date
group by day
order by day
