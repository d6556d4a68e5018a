-- One row per ticket with comments: the first reply and the counts of comments.
-- A reply is a public comment by a person in support that does not open the
-- ticket; bots and automatic mails never count. The first public comment opens
-- the ticket if it was written when the ticket was created, within its first
-- second: the request itself, or what an agent wrote who created the ticket for
-- somebody. Help desks that keep the request elsewhere have no such comment,
-- and neither has a ticket that begins with a private note. What is written
-- after the ticket was closed is no first reply.
with

tickets as (

    select
        ticket_id,
        created_at

    from stg_tickets

),

comments as (

    select
        stg_ticket_events.event_id,
        stg_ticket_events.ticket_id,
        stg_ticket_events.actor_id,
        stg_ticket_events.field_name = 'comment_public' as is_public,
        stg_ticket_events.is_by_person_in_support,
        coalesce(stg_ticket_events.actor_role in ('bot', 'system'), false)
            as is_by_robot,
        stg_ticket_events.occurred_at
            < tickets.created_at + interval '1 second' as is_at_creation,
        stg_ticket_events.occurred_at

    from stg_ticket_events

    inner join tickets
        on stg_ticket_events.ticket_id = tickets.ticket_id

    where stg_ticket_events.field_name
        in ('comment_public', 'comment_private')

),

solves as (

    select
        ticket_id,
        last_solved_at,
        first_closed_at

    from int_tickets_resolved

),

comments_numbered as (

    select
        event_id,
        ticket_id,
        actor_id,
        is_public,
        is_by_person_in_support,
        is_by_robot,
        is_at_creation,
        row_number() over (
            partition by ticket_id, is_public, is_by_robot
            order by occurred_at, event_id
        ) as comment_number,
        occurred_at

    from comments

),

comments_with_replies as (

    select
        comments_numbered.event_id,
        comments_numbered.ticket_id,
        comments_numbered.actor_id,
        comments_numbered.is_public,
        comments_numbered.is_by_person_in_support,
        comments_numbered.is_public
            and comments_numbered.is_by_person_in_support
            and not (
                comments_numbered.comment_number = 1
                and comments_numbered.is_at_creation
            ) as is_reply,
        solves.last_solved_at,
        solves.first_closed_at,
        comments_numbered.occurred_at

    from comments_numbered

    left join solves
        on comments_numbered.ticket_id = solves.ticket_id

),

replies_numbered as (

    select
        ticket_id,
        actor_id as first_reply_agent_id,
        occurred_at as first_replied_at,
        row_number() over (
            partition by ticket_id
            order by occurred_at, event_id
        ) as reply_number

    from comments_with_replies

    where is_reply
        and (first_closed_at is null or occurred_at <= first_closed_at)

),

comments_counted_to_tickets as (

    select
        ticket_id,
        count(*) as comments,
        count(*) filter (where is_public) as public_comments,
        count(*) filter (where not is_public) as private_comments,
        count(*) filter (where is_reply) as agent_replies,
        count(*) filter (
            where is_public
                and is_by_person_in_support
                and (
                    last_solved_at is null
                    or occurred_at <= last_solved_at
                )
        ) as touches

    from comments_with_replies

    group by ticket_id

),

tickets_replied as (

    select
        ---------- ids
        comments_counted_to_tickets.ticket_id,
        replies_numbered.first_reply_agent_id,

        ---------- numbers
        comments_counted_to_tickets.comments,
        comments_counted_to_tickets.public_comments,
        comments_counted_to_tickets.private_comments,
        comments_counted_to_tickets.agent_replies,
        comments_counted_to_tickets.touches,

        ---------- timestamps
        replies_numbered.first_replied_at

    from comments_counted_to_tickets

    left join replies_numbered
        on comments_counted_to_tickets.ticket_id = replies_numbered.ticket_id
        and replies_numbered.reply_number = 1

)

select * from tickets_replied
