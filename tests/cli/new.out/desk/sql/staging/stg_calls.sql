-- One row per call_id.
with

calls_landed as (

    select * from calls

),

renamed as (

    select
        ---------- ids
        call_id,

        ---------- strings
        queue_name,
        agent_no,

        ---------- numbers
        seconds,
        cost,

        ---------- booleans
        answered,

        ---------- dates
        ended,

        ---------- timestamps
        started_at

    from calls_landed

)

select * from renamed
