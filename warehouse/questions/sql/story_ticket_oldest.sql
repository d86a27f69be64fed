-- since when there are runs and logs
select min(time_unix_nano) as oldest
from (select time_unix_nano from spans union all select time_unix_nano from logs)
