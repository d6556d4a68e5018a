-- One row per ticket with comments: the first reply and the counts of comments.
-- The first reply is the first public comment by a person in support after the
-- ticket's first public comment; bots and automatic mails never count.
with

comments as (

    select
        event_id,
        ticket_id,
        actor_id,
        field_name = 'comment_public' as is_public,
        is_by_person_in_support,
        occurred_at

    from stg_ticket_events

    where field_name in ('comment_public', 'comment_private')

),

solves as (

    select
        ticket_id,
        last_solved_at

    from int_tickets_resolved

),

comments_numbered as (

    select
        ticket_id,
        actor_id,
        is_public,
        is_by_person_in_support,
        row_number() over (
            partition by ticket_id, is_public
            order by occurred_at, event_id
        ) as comment_number,
        row_number() over (
            partition by ticket_id, is_public, is_by_person_in_support
            order by occurred_at, event_id
        ) as comment_number_of_side,
        occurred_at

    from comments

),

comments_with_replies as (

    select
        ticket_id,
        actor_id,
        is_public,
        is_by_person_in_support,
        is_public and is_by_person_in_support
            and comment_number > 1 as is_reply,
        comment_number_of_side,
        occurred_at

    from comments_numbered

),

replies_numbered as (

    select
        ticket_id,
        actor_id as first_reply_agent_id,
        occurred_at as first_replied_at,
        row_number() over (
            partition by ticket_id
            order by occurred_at, comment_number_of_side
        ) as reply_number

    from comments_with_replies

    where is_reply

),

comments_counted_to_tickets as (

    select
        comments_with_replies.ticket_id,
        count(*) as comments,
        count(*) filter (
            where comments_with_replies.is_public
        ) as public_comments,
        count(*) filter (
            where not comments_with_replies.is_public
        ) as private_comments,
        count(*) filter (
            where comments_with_replies.is_reply
        ) as agent_replies,
        count(*) filter (
            where comments_with_replies.is_public
                and comments_with_replies.is_by_person_in_support
                and (
                    solves.last_solved_at is null
                    or comments_with_replies.occurred_at
                        <= solves.last_solved_at
                )
        ) as touches

    from comments_with_replies

    left join solves
        on comments_with_replies.ticket_id = solves.ticket_id

    group by comments_with_replies.ticket_id

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
