-- One row per day from $calendar_from to $calendar_to, or to the end of the
-- year after that of the run's clock, if that is later. ISO weeks begin on
-- Monday and belong to the year of their Thursday; week_start is that of the weeks
-- of metrics, which begin on the day that opsmart.toml says. Sunday weeks are numbered as
-- in the United States: the week of 1 January is the first. A fiscal year
-- begins with $fiscal_year_start_month and bears the number of the calendar
-- year in which it ends. A business day is a weekday that is no holiday, or a
-- weekend day that makes up for one; in years of which no holidays are known,
-- every weekday.
with

days as (

    select
        unnest(
            generate_series(
                $calendar_from,
                greatest(
                    $calendar_to,
                    cast(
                        date_trunc(
                            'year', local_day($as_of, $reporting_zone)
                        ) + interval '2 years'
                        as date
                    ) - 1
                ),
                interval '1 day'
            )
        ) as day

),

exceptions as (

    select * from stg_calendar

),

years_known as (

    select distinct
        extract(year from day) as year_number

    from exceptions

),

days_with_parts as (

    select
        day,
        extract(year from day) as year_number,
        extract(quarter from day) as quarter_number,
        extract(month from day) as month_number,
        extract(day from day) as day_of_month,
        extract(doy from day) as day_of_year,
        extract(isoyear from day) as iso_year,
        extract(week from day) as iso_week,
        extract(isodow from day) as iso_weekday,
        extract(dow from day) as days_after_sunday,
        (
            extract(month from day) - $fiscal_year_start_month + 12
        ) % 12 + 1 as fiscal_month,
        month_start(day) as month_start

    from days

),

days_joined as (

    select
        days_with_parts.*,
        exceptions.holiday_name,
        exceptions.holiday_name_zh,
        iso_weekday >= 6 as is_weekend,
        coalesce(exceptions.day_kind = 'holiday', false) as is_holiday,
        coalesce(exceptions.day_kind = 'workday', false) as is_makeup_workday,
        years_known.year_number is not null as is_calendar_known

    from days_with_parts

    left join exceptions
        on days_with_parts.day = exceptions.day

    left join years_known
        on days_with_parts.year_number = years_known.year_number

),

days_with_business as (

    select
        *,
        is_makeup_workday or not (is_weekend or is_holiday) as is_business_day

    from days_joined

),

days_counted as (

    select
        *,
        count(*) filter (where is_business_day) over (
            partition by month_start
            order by day
            rows between unbounded preceding and current row
        ) as business_day_of_month,
        count(*) filter (where is_business_day) over (
            partition by month_start
        ) as business_days_in_month

    from days_with_business

),

final as (

    select
        ---------- ids
        day,

        ---------- strings
        to_char(day, '%A') as weekday_name,
        concat('星期', substr('一二三四五六日', iso_weekday, 1)) as weekday_name_zh,
        holiday_name,
        holiday_name_zh,

        ---------- numbers
        year_number,
        quarter_number,
        month_number,
        day_of_month,
        day_of_year,
        iso_year,
        iso_week,
        iso_weekday,
        -- Of 1 January it is known how many days it stands after a Sunday.
        (
            day_of_year - 1
            + (days_after_sunday - day_of_year + 1 + 371) % 7
        ) / 7 + 1 as sunday_week,
        case
            when $fiscal_year_start_month > 1
                and month_number >= $fiscal_year_start_month
                then year_number + 1
            else year_number
        end as fiscal_year,
        (fiscal_month - 1) / 3 + 1 as fiscal_quarter,
        fiscal_month,
        business_day_of_month,
        business_days_in_month,

        ---------- booleans
        is_weekend,
        is_holiday,
        is_makeup_workday,
        is_business_day,
        is_calendar_known,

        ---------- dates
        month_start,
        day - cast((iso_weekday - $week_start + 7) % 7 as int) as week_start,
        day - cast(days_after_sunday as int) as sunday_week_start

    from days_counted

)

select * from final
