select
    *,
    local_day(created_at, $reporting_zone) as created_day,
    local_day(solved_at, $reporting_zone) as solved_day

from tickets
