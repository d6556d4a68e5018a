-- One row per ticket with comments: the first reply and the counts of comments.
-- A reply is a public comment by a person in support that does not open the
-- ticket; bots and automatic mails never count. The first public comment opens
-- the ticket if it was written when the ticket was created, within its first
-- second: the request itself, or what an agent wrote who created the ticket for
-- somebody. Help desks that keep the request elsewhere have no such comment,
-- and neither has a ticket that begins with a private note. What is written
-- after the ticket was closed is no first reply.
with

comments as (

    select
        events.*,
        field_name = 'comment_public' as is_public,
        coalesce(actor_role in ('bot', 'system'), false) as is_by_robot,
        occurred_at < created_at + interval '1 second' as is_at_creation,
        last_solved_at is null or occurred_at <= last_solved_at
            as is_up_to_solve,
        first_closed_at is null or occurred_at <= first_closed_at
            as is_up_to_closing

    from stg_ticket_events as events

    inner join stg_tickets as tickets
        on events.ticket_id = tickets.ticket_id

    left join int_tickets_resolved as resolved
        on events.ticket_id = resolved.ticket_id

    where field_name in ('comment_public', 'comment_private')

),

comments_numbered as (

    select
        *,
        row_number() over (
            partition by ticket_id, is_public, is_by_robot
            order by occurred_at, event_id
        ) as comment_number

    from comments

),

comments_with_replies as (

    select
        *,
        is_public
            and is_by_person_in_support
            and not (comment_number = 1 and is_at_creation) as is_reply

    from comments_numbered

),

tickets_replied as (

    select
        ---------- ids
        ticket_id,
        first_value(actor_id order by occurred_at, event_id) filter (
            where is_reply and is_up_to_closing
        ) as first_reply_agent_id,

        ---------- numbers
        count(*) as comments,
        count(*) filter (where is_public) as public_comments,
        count(*) filter (where not is_public) as private_comments,
        count(*) filter (where is_reply) as agent_replies,
        count(*) filter (
            where is_public and is_by_person_in_support and is_up_to_solve
        ) as touches,

        ---------- timestamps
        min(occurred_at) filter (where is_reply and is_up_to_closing)
            as first_replied_at

    from comments_with_replies

    group by ticket_id

)

select * from tickets_replied
