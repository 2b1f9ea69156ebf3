/*
 * pass.pml - the passing of batons as a model that spin searches to the last state.
 *
 * What is in it: two controllers, two members a color (and a third name, for one that died and was started again), the brokers
 * (who owns a partition, what is committed with which mark), the control log, the reports topic. Every actor takes its steps
 * one at a time, in any order; any of FAULTS mishaps may come between any two of them. A step has the name of the function of
 * the core that it stands for, or of the rule of docs/protocol.md that it obeys; the table there says which is which.
 *
 * How it is kept small enough to be searched whole:
 * - An epoch is compared only with epochs of the same partition, so the model counts grants and words of each partition
 *   from 1 on, instead of one number for the fleet. Who has applied a baton's word has applied all that was written before.
 * - Documents that everybody has read are dropped (trim), so `log` is a window; a reader is an index into it.
 * - A member takes no step of its own while a change is not reported yet; the others do, and it may die.
 * - A state without meaning is zero (idle, crash).
 * - Every step uses something up (a record, a word, a fault), so no run is endless, and "it ends" needs no fairness.
 *
 * What is left out stands in docs/protocol.md. Bounds are given by model/run.py as -D; so is a MUTANT_..., one deliberate
 * mistake each, which must break a property.
 */
#ifndef PARTITIONS
#define PARTITIONS 2
#endif
#ifndef RECORDS
#define RECORDS 2 /* of each partition; at most 3 */
#endif
#ifndef FAULTS
#define FAULTS 1
#endif
#ifndef OPERATIONS
#define OPERATIONS 1
#endif
#ifndef FOLLOWS
#define FOLLOWS 0 /* follow-commits of a standby in a run */
#endif

#define COLORS 2
#ifndef LAG
#define LAG 2 /* documents that a member may be behind the leader */
#endif
#define SLOTS 3 /* names of incarnations a color has: two that live, one of the dead */
#define MEMBERS (COLORS * SLOTS)
#define WINDOW (LAG + 2) /* documents of which some are not read by all; the last index is the mutants' */

/* colors */
#define BLUE 0
#define GREEN 1
/* right: what a document says of a baton */
#define HELD 0
#define RELEASING 1
#define GRANTED 2
/* state: of a partition at a member */
#define IDLE 0
#define STARTING 1
#define ACTIVE 2
#define DRAINING 3
#define RELEASED 4
/* barrier: of a partition that was assigned (rule 2) */
#define REPORT 0
#define ASK 1
#define CATCH_UP 2
#define PASSED 3
/* life: of an incarnation */
#define UNUSED 0
#define UP 1
#define CUT 2  /* its session is over, and it has not noticed */
#define OUT 3  /* it has noticed, delivers nothing, and is cut off from all of Kafka */
#define DEAD 4 /* and not forgotten yet */
/* operation */
#define NONE 0
#define PASSING 1
#define OBSERVING 2
#define RETURNING 3
#define COMPLETE 4
#define ROLLED_BACK 5
#define NEEDS_OPERATOR 6
/* mark: of a commit; 1 and more: the grant it was made under */
#define NO_MARK 0
#define FOLLOW_MARK 7

typedef baton_t {
    unsigned right : 2;
    unsigned holder : 1;
    unsigned from : 2;
    unsigned epoch : 3; /* the grant by which the holder has it */
    unsigned order : 4; /* the last word about it */
    unsigned taken : 1;
    unsigned doubt : 2 /* 0: none */
};
typedef doc_t {
    unsigned term : 2;
    baton_t baton[PARTITIONS]
};
typedef part_t {
    unsigned assigned : 1;
    unsigned revoking : 1;
    unsigned lost : 1;
    unsigned state : 3;
    unsigned barrier : 2;
    unsigned barrier_epoch : 3;
    unsigned epoch : 3;
    unsigned position : 2;
    unsigned committed : 2;
    unsigned flying : 1; /* the record before position is delivered and not done */
    unsigned doubt : 2
};
typedef member_t {
    unsigned life : 3;
    unsigned doc : 3;         /* the newest it has applied */
    unsigned barrier_end : 3; /* the log's end when it asked */
    unsigned due : 1;         /* a change is not reported yet */
    part_t part[PARTITIONS]
};
typedef report_part_t {
    unsigned owned : 1;
    unsigned shows : 3;
    unsigned order : 4;
    unsigned doubt : 2
};
typedef report_t {
    unsigned there : 1; /* stands in the reports topic */
    unsigned known : 1; /* and the leader has read it */
    unsigned term : 2;
    report_part_t part[PARTITIONS]
};
typedef group_t { /* of one color, at the brokers, for one partition */
    unsigned owner : 3; /* a member + 1; 0: none */
    unsigned committed : 2;
    unsigned mark : 3
};
typedef fact_t { /* what the leader alone knows of a partition */
    unsigned barrier_read : 1; /* the reports were read to their end after the order */
    unsigned read : 3          /* the committed offset that was read back + 1; 0: not read */
};

doc_t log[WINDOW + 1];
byte newest;                    /* index of the log's last document */
member_t member[MEMBERS];
report_t said[MEMBERS];         /* the newest report of each incarnation */
group_t group[COLORS * PARTITIONS];

unsigned term : 2 = 1;          /* of the one that leads */
unsigned zombie : 2;            /* the term of one that does not know that it was deposed; 0: none */
fact_t fact[PARTITIONS];
unsigned operation : 3;
unsigned active_color : 1;
unsigned to : 1;
unsigned operations : 2 = OPERATIONS; /* that the operator may still order */
unsigned faults : 3 = FAULTS;         /* that may still happen */

unsigned follows : 2 = FOLLOWS;
unsigned follower : 3;          /* the member + 1 whose follow-commit is out */
unsigned follow_part : 1;
unsigned follow_offset : 2;

/* Seen by nobody in the model: for the properties. */
byte delivered[COLORS * PARTITIONS]; /* records that a color has begun, one bit each */
byte done[PARTITIONS];               /* records that were processed to their end */
bit gap;                             /* a member began behind a record that was not done */
bit overlap;                         /* one was begun by both colors */
bit went_back;                       /* a member took a lower (term, epoch) for a higher one */

#define BIT(at) (1 << (at))

hidden byte i, j, low, offset, changed;


#define COLOR(m) ((m) / SLOTS)
#define OTHER(c) (1 - (c))
#define GROUP(c, p) group[(c) * PARTITIONS + (p)]
#define PART(m, p) member[m].part[p]
#define WORD(m, p) log[member[m].doc].baton[p] /* what the member believes */
#define NOW(p) log[newest].baton[p]            /* what the leader has written last */
#define LIVES(m) (member[m].life == UP || member[m].life == CUT || member[m].life == OUT)
#define HEARS(m) (member[m].life == UP || member[m].life == CUT)
#define EVERY(F, p) (F(0, p) && F(1, p) && F(2, p) && F(3, p) && F(4, p) && F(5, p))
#define SOME(F, p) (F(0, p) || F(1, p) || F(2, p) || F(3, p) || F(4, p) || F(5, p))
#if PARTITIONS == 1
#define ALL(F) (F(0))
#define EACH(can, step, m) :: d_step { can(m, 0) -> step(m, 0) }
#define EACH_BATON(can, step) :: d_step { can(0) -> step(0) }
#else
#define ALL(F) (F(0) && F(1))
#define EACH(can, step, m) :: d_step { can(m, 0) -> step(m, 0) } :: d_step { can(m, 1) -> step(m, 1) }
#define EACH_BATON(can, step) :: d_step { can(0) -> step(0) } :: d_step { can(1) -> step(1) }
#endif

/* Which mishaps may come, and whether one may still. */
#ifndef KINDS
#define KINDS 127
#endif
/*
 * Who may die or be cut off. With two partitions the two members of a color differ by the partitions' names alone, so one
 * of them stands for both.
 */
#ifndef VICTIM
#define VICTIM 7 /* anybody */
#endif
#define MAY_HIT(m) (VICTIM == 7 || VICTIM == (m))
#define HAPPENS(kind) (faults > 0 && (KINDS & (kind)))
#define CRASHES 1
#define CUTS 2
#define REBALANCES 4
#define REIGNS 8
#define DEADLINES 16
#define LOSSES 32
#define REPEATS 64

/* ---- the control log ------------------------------------------------------------------------------------------------ */

/* What every reader has behind it is dropped. */
inline trim()
{
    low = newest;
    for (i : 0 .. MEMBERS - 1) {
        if
        :: LIVES(i) && member[i].doc < low -> low = member[i].doc
        :: else
        fi
    }
    if
    :: low > 0 ->
        for (i : 0 .. WINDOW - 1) {
            if
            :: i + low < WINDOW -> copy_doc(i, i + low)
            :: else -> clear_doc(i)
            fi
        }
        for (i : 0 .. MEMBERS - 1) {
            if
            :: LIVES(i) && member[i].doc < WINDOW ->
                member[i].doc = member[i].doc - low;
                member[i].barrier_end = (member[i].barrier_end > low -> member[i].barrier_end - low : 0)
            :: else
            fi
        }
        newest = newest - low
    :: else
    fi
}

inline copy_doc(ret, from_doc)
{
    log[ret].term = log[from_doc].term;
    for (j : 0 .. PARTITIONS - 1) {
        log[ret].baton[j].right = log[from_doc].baton[j].right;
        log[ret].baton[j].holder = log[from_doc].baton[j].holder;
        log[ret].baton[j].from = log[from_doc].baton[j].from;
        log[ret].baton[j].epoch = log[from_doc].baton[j].epoch;
        log[ret].baton[j].order = log[from_doc].baton[j].order;
        log[ret].baton[j].taken = log[from_doc].baton[j].taken;
        log[ret].baton[j].doubt = log[from_doc].baton[j].doubt
    }
}

inline clear_doc(ret)
{
    log[ret].term = 0;
    for (j : 0 .. PARTITIONS - 1) {
        log[ret].baton[j].right = 0;
        log[ret].baton[j].holder = 0;
        log[ret].baton[j].from = 0;
        log[ret].baton[j].epoch = 0;
        log[ret].baton[j].order = 0;
        log[ret].baton[j].taken = 0;
        log[ret].baton[j].doubt = 0
    }
}

/* The leader writes no further than LAG documents ahead of the slowest member: a bound of the model, not of the protocol. */
#define ROOM (newest < LAG)

/* A new document, equal to the last one until the leader's step changes it. */
inline append()
{
    assert(newest + 1 < WINDOW);
    copy_doc(newest + 1, newest);
    newest++;
    log[newest].term = term
}

/* ---- the member (core/holder.c) ------------------------------------------------------------------------------------- */

#define OURS(m, p) (WORD(m, p).holder == COLOR(m))
#define TO_PROCESS(m, p) (OURS(m, p) && WORD(m, p).right != RELEASING)
#define TO_RELEASE(m, p) (OURS(m, p) && WORD(m, p).right == RELEASING)
#define TO_FOLLOW(m, p) (!OURS(m, p) && WORD(m, p).right == HELD)
#define MAY_BEGIN(m, p) (PART(m, p).assigned && !PART(m, p).revoking && PART(m, p).barrier == PASSED)
#define GOES_ON(m, p) \
    (MAY_BEGIN(m, p) && !PART(m, p).lost && TO_PROCESS(m, p) && WORD(m, p).epoch == PART(m, p).epoch)
#ifdef MUTANT_BARRIER_BEFORE_REPORT
#define FREE(m) true
#else
#define FREE(m) (!member[m].due)
#endif

inline idle(m, p)
{
    PART(m, p).state = IDLE;
    PART(m, p).lost = 0;
    PART(m, p).epoch = (PART(m, p).assigned -> PART(m, p).epoch : 0);
    PART(m, p).position = 0;
    PART(m, p).committed = 0;
    member[m].due = 1
}

inline part_reconcile(m, p)
{
    if
    :: PART(m, p).state == RELEASED && (!PART(m, p).revoking || !PART(m, p).assigned) &&
       (!PART(m, p).assigned || PART(m, p).lost || WORD(m, p).epoch != PART(m, p).epoch || !TO_RELEASE(m, p)) -> idle(m, p)
    :: PART(m, p).state == STARTING && (!PART(m, p).assigned || PART(m, p).lost) -> idle(m, p)
    :: PART(m, p).state == ACTIVE && !GOES_ON(m, p) ->
        PART(m, p).state = DRAINING;
        member[m].due = 1
    :: PART(m, p).state == DRAINING && GOES_ON(m, p) -> /* an order taken back: on where it stopped */
        PART(m, p).state = ACTIVE;
        member[m].due = 1
    :: else
    fi;
    if
    :: PART(m, p).doubt > 0 && WORD(m, p).doubt >= PART(m, p).doubt -> PART(m, p).doubt = 0 /* the document has it now */
    :: else
    fi;
    if
    :: PART(m, p).barrier == CATCH_UP && member[m].doc >= member[m].barrier_end ->
        PART(m, p).barrier = PASSED;
        PART(m, p).barrier_epoch = WORD(m, p).epoch;
        member[m].due = 1
    :: else
    fi
}

inline reconcile(m)
{
    part_reconcile(m, 0);
#if PARTITIONS > 1
    part_reconcile(m, 1);
#endif
    if
    :: PART(m, 0).barrier != CATCH_UP && PART(m, PARTITIONS - 1).barrier != CATCH_UP -> member[m].barrier_end = 0
    :: else
    fi
}

/* Whole, as it stands, into the reports topic. Rule 7: not while a follow-commit is out, for a report acknowledges. */
#ifdef MUTANT_FOLLOW_AFTER_ACKNOWLEDGEMENT
#define ACKNOWLEDGES(m) true
#else
#define ACKNOWLEDGES(m) (follower != (m) + 1)
#endif
#define CAN_REPORT(m) (HEARS(m) && member[m].due && ACKNOWLEDGES(m))
inline holder_report(m)
{
    member[m].due = 0;
    said[m].there = 1;
    said[m].term = log[member[m].doc].term;
    for (i : 0 .. PARTITIONS - 1) {
        said[m].part[i].owned = PART(m, i).assigned;
        said[m].part[i].shows = (PART(m, i).state == STARTING -> IDLE : PART(m, i).state);
        said[m].part[i].order = WORD(m, i).order;
        said[m].part[i].doubt = PART(m, i).doubt;
        if
        :: PART(m, i).assigned && PART(m, i).barrier == REPORT -> PART(m, i).barrier = ASK
        :: else
        fi
    }
    printf("member %d reports\n", m)
}

/* In the same turn, where dying in between would be like dying before: nothing is committed that is not said. */
inline tell(m)
{
    if
    :: ACKNOWLEDGES(m) -> holder_report(m)
    :: else -> member[m].due = 1
    fi
}

/* The next document of the log. */
#define CAN_ON_DOC(m) (HEARS(m) && FREE(m) && member[m].doc < newest)
inline on_doc(m)
{
    if
    :: log[member[m].doc + 1].term < log[member[m].doc].term -> went_back = 1
    :: else
    fi;
    member[m].doc = member[m].doc + 1;
    reconcile(m);
    printf("member %d applies a document\n", m);
    tell(m);
    trim()
}

/*
 * The late record of a deposed leader, read behind the claim of its successor: a grant of p to the other color, the worst that
 * it can be. Rule 1 voids it.
 */
#ifdef MUTANT_LOWER_TERM
#define TERMS_VALID(m, t) true
#else
#define TERMS_VALID(m, t) ((t) >= log[member[m].doc].term)
#endif
#define CAN_ON_LATE_DOC(m, p) (HEARS(m) && FREE(m) && zombie > 0 && member[m].doc < WINDOW && log[member[m].doc].term > zombie)
inline on_late_doc(m, p)
{
    if
    :: TERMS_VALID(m, zombie) ->
        went_back = 1;
        copy_doc(WINDOW, member[m].doc);
        member[m].doc = WINDOW;
        log[WINDOW].term = zombie;
        log[WINDOW].baton[p].right = GRANTED;
        log[WINDOW].baton[p].holder = OTHER(log[WINDOW].baton[p].holder);
        log[WINDOW].baton[p].epoch = log[WINDOW].baton[p].epoch + 1;
        member[m].due = 1;
        reconcile(m)
    :: else /* void */
    fi;
    zombie = 0;
    printf("member %d reads a record of a dead term\n", m)
}

/* The same document again, out of turn: its epoch is lower, so it is ignored. */
#define CAN_ON_STALE_DOC(m) (HAPPENS(REPEATS) && HEARS(m) && member[m].doc > 0 && member[m].doc < WINDOW)
inline on_stale_doc(m)
{
    faults--;
#ifdef MUTANT_LOWER_EPOCH
    went_back = 1;
    member[m].doc = member[m].doc - 1;
    member[m].due = 1;
    reconcile(m);
#endif
    printf("member %d reads an old document again\n", m)
}

/* The append failed: the change stays due. */
#define CAN_LOSE_REPORT(m) (HAPPENS(LOSSES) && CAN_REPORT(m))
inline lose_report(m)
{
    faults--;
#ifdef MUTANT_REPORT_NOT_REPEATED
    member[m].due = 0;
#endif
    printf("a report of member %d is lost\n", m)
}

/* Rule 2: where does the log end, now that the report is in? */
#ifdef MUTANT_BARRIER_BEFORE_REPORT
#define CAN_ASK(m, p) (HEARS(m) && PART(m, p).assigned && PART(m, p).barrier <= ASK)
#else
#define CAN_ASK(m, p) (HEARS(m) && FREE(m) && PART(m, p).assigned && PART(m, p).barrier == ASK)
#endif
inline part_barrier(m, p)
{
    PART(m, p).barrier = CATCH_UP;
    member[m].barrier_end = newest;
    printf("member %d asks for the log's end, for partition %d\n", m, p);
    reconcile(m)
}

/* Rule 6. No fault may make a member begin behind a newer mark than it knows: it waits. */
#ifdef MUTANT_FORGET_EPOCH
#define MARK_IS_OURS(m, p) true
#else
#define MARK_IS_OURS(m, p) (GROUP(COLOR(m), p).mark == WORD(m, p).epoch)
#endif
/* owner since before the grant, and not begun under it */
#define OWNED_BEFORE(m, p) \
    (WORD(m, p).right == GRANTED && WORD(m, p).epoch > PART(m, p).barrier_epoch && WORD(m, p).epoch != PART(m, p).epoch)
#define MARK_AHEAD(m, p) (GROUP(COLOR(m), p).mark != FOLLOW_MARK && GROUP(COLOR(m), p).mark > WORD(m, p).epoch)
#define CAN_BEGIN(m, p) \
    (HEARS(m) && FREE(m) && PART(m, p).state == IDLE && MAY_BEGIN(m, p) && OURS(m, p) && \
     (OWNED_BEFORE(m, p) || !MARK_AHEAD(m, p)))
inline part_begin(m, p)
{
    PART(m, p).position = WORD(m, p).from;
    if
    :: !OWNED_BEFORE(m, p) && GROUP(COLOR(m), p).mark != NO_MARK && GROUP(COLOR(m), p).mark != FOLLOW_MARK &&
       MARK_IS_OURS(m, p) ->
        PART(m, p).position = GROUP(COLOR(m), p).committed
    :: else
    fi;
    PART(m, p).epoch = WORD(m, p).epoch;
    PART(m, p).state = STARTING;
    printf("member %d begins partition %d at %d\n", m, p, PART(m, p).position)
}

/* The coordinator refuses who is in the group no more. */
inline commit(m, p, at)
{
    GROUP(COLOR(m), p).committed = at;
    GROUP(COLOR(m), p).mark = PART(m, p).epoch
}

/* The start is committed; only then records flow. */
#define CAN_ON_STARTED(m, p) (member[m].life == UP && FREE(m) && PART(m, p).state == STARTING)
inline on_started(m, p)
{
    if
    :: PART(m, p).position > 0 && (done[p] & (BIT(PART(m, p).position) - 1)) != BIT(PART(m, p).position) - 1 -> gap = 1
    :: else
    fi;
    commit(m, p, PART(m, p).position);
    PART(m, p).committed = PART(m, p).position;
    if
    :: !PART(m, p).assigned || PART(m, p).revoking || !OURS(m, p) || WORD(m, p).epoch != PART(m, p).epoch -> idle(m, p)
    :: else ->
        if
        :: TO_PROCESS(m, p) -> PART(m, p).state = ACTIVE
        :: else -> PART(m, p).state = RELEASED
        fi;
        member[m].due = 1
    fi;
    printf("member %d has committed its start on partition %d\n", m, p)
}

#define CAN_DELIVER(m, p) \
    ((member[m].life == UP || member[m].life == CUT) && PART(m, p).state == ACTIVE && !PART(m, p).flying && \
     PART(m, p).position < RECORDS)
inline holder_deliver(m, p)
{
    offset = PART(m, p).position;
    if
    :: delivered[OTHER(COLOR(m)) * PARTITIONS + (p)] & BIT(offset) -> overlap = 1
    :: else
    fi;
    delivered[COLOR(m) * PARTITIONS + (p)] = delivered[COLOR(m) * PARTITIONS + (p)] | BIT(offset);
    PART(m, p).flying = 1;
    PART(m, p).position = offset + 1;
    printf("member %d delivers record %d of partition %d\n", m, offset, p)
}

#define CAN_DONE(m, p) (LIVES(m) && PART(m, p).flying)
inline holder_done(m, p)
{
    PART(m, p).flying = 0;
    done[p] = done[p] | BIT(PART(m, p).position - 1);
    printf("member %d has done record %d of partition %d\n", m, PART(m, p).position - 1, p)
}

/* Progress, now and then: the low watermark. */
#define LOW(m, p) (PART(m, p).position - PART(m, p).flying)
#define CAN_COMMIT(m, p) (member[m].life == UP && PART(m, p).state == ACTIVE && LOW(m, p) > PART(m, p).committed)
inline commit_progress(m, p)
{
    commit(m, p, LOW(m, p));
    PART(m, p).committed = LOW(m, p);
    printf("member %d commits %d of partition %d\n", m, LOW(m, p), p)
}

/* The last record in flight is done: commit and say so, or, where it is not ours to commit any more, a doubt (rule 12). */
#ifdef MUTANT_RELEASE_IN_FLIGHT
#define DRAINED(m, p) true
#else
#define DRAINED(m, p) (!PART(m, p).flying)
#endif
#define STILL_OURS(m, p) \
    (PART(m, p).assigned && !PART(m, p).lost && OURS(m, p) && WORD(m, p).epoch == PART(m, p).epoch)
#define CAN_DRAINED(m, p) \
    (LIVES(m) && (FREE(m) || member[m].life == OUT) && PART(m, p).state == DRAINING && DRAINED(m, p) && \
     (!STILL_OURS(m, p) || member[m].life == UP))
inline part_drained(m, p)
{
    if
    :: STILL_OURS(m, p) ->
        commit(m, p, PART(m, p).position);
        PART(m, p).committed = PART(m, p).position;
        PART(m, p).state = RELEASED;
        member[m].due = 1;
        part_reconcile(m, p) /* a revocation may have been all it was for */
    :: else ->
        if
        :: PART(m, p).position > PART(m, p).committed && PART(m, p).position > PART(m, p).doubt ->
            PART(m, p).doubt = PART(m, p).position
        :: else
        fi;
        idle(m, p)
    fi;
    printf("member %d is drained on partition %d\n", m, p)
}

/* Kafka did commit, and the answer was lost: the member will ask again. */
#define CAN_LOSE_ANSWER(m, p) \
    (HAPPENS(LOSSES) && (CAN_ON_STARTED(m, p) || (CAN_DRAINED(m, p) && STILL_OURS(m, p))))
inline lose_answer(m, p)
{
    faults--;
    commit(m, p, PART(m, p).position);
    printf("an answer to member %d is lost\n", m)
}

/* A standby reads the active color's offset, and commits it into its own group some time later (rule 7). */
#define CAN_FOLLOW(m, p) \
    (follows > 0 && follower == 0 && member[m].life == UP && FREE(m) && PART(m, p).state == IDLE && MAY_BEGIN(m, p) && \
     TO_FOLLOW(m, p))
inline follow(m, p)
{
    follows--;
    follower = m + 1;
    follow_part = p;
    follow_offset = GROUP(OTHER(COLOR(m)), p).committed;
    printf("member %d follows partition %d to %d\n", m, p, follow_offset)
}

#define CAN_FOLLOWED(m) (follower == (m) + 1)
inline followed(m)
{
    if
    :: member[m].life == UP ->
        GROUP(COLOR(m), follow_part).committed = follow_offset;
        GROUP(COLOR(m), follow_part).mark = FOLLOW_MARK
    :: else
    fi;
    follower = 0;
    follow_part = 0;
    follow_offset = 0;
    printf("member %d has followed\n", m)
}

/* Rule 12: all that could be finished is, or the time for it is over. */
#define CAN_LET_GO(m, p) \
    (member[m].life == UP && PART(m, p).revoking && \
     (PART(m, p).state == IDLE || PART(m, p).state == RELEASED || (PART(m, p).state == DRAINING && PART(m, p).flying)))
inline revoke_finish(m, p)
{
    PART(m, p).assigned = 0;
    PART(m, p).revoking = 0;
    PART(m, p).barrier = REPORT;
    PART(m, p).barrier_epoch = 0;
    PART(m, p).lost = (PART(m, p).state == DRAINING);
    PART(m, p).epoch = (PART(m, p).state == IDLE -> 0 : PART(m, p).epoch);
    GROUP(COLOR(m), p).owner = 0;
    reconcile(m);
    printf("member %d lets partition %d go\n", m, p);
    tell(m)
}

/* Rule 11: no contact with the coordinator for the session's time. */
#define CAN_FENCE(m) (member[m].life == CUT)
inline holder_fenced(m)
{
    member[m].life = OUT;
    for (i : 0 .. PARTITIONS - 1) {
        PART(m, i).assigned = 0;
        PART(m, i).revoking = 0;
        PART(m, i).barrier = REPORT;
        PART(m, i).barrier_epoch = 0;
        PART(m, i).lost = (PART(m, i).state == ACTIVE || PART(m, i).state == DRAINING);
        PART(m, i).epoch = (PART(m, i).state == IDLE -> 0 : PART(m, i).epoch)
    }
    member[m].due = 1;
    reconcile(m);
    printf("member %d fences itself\n", m)
}

#define CAN_REJOIN(m) (member[m].life == OUT)
inline rejoin(m)
{
    member[m].life = UP;
    member[m].due = 1;
    printf("member %d is back in its group\n", m)
}

/* ---- the leader (core/switch*.c) ------------------------------------------------------------------------------------ */

#define FROM OTHER(to)
#define UNDER_WAY (operation == PASSING || operation == OBSERVING || operation == RETURNING)
/* where a baton has to go: to the other color */
#define AIM_PASS(p) \
    ((operation == PASSING && NOW(p).holder == FROM) || (operation == RETURNING && NOW(p).holder == to))

#define COUNTS(m) (said[m].there && said[m].known)
#define BUSY(m, p) (said[m].part[p].shows == ACTIVE || said[m].part[p].shows == DRAINING)
#ifdef MUTANT_OLD_ACKNOWLEDGEMENT
#define ACKNOWLEDGED(m, p) true
#else
#define ACKNOWLEDGED(m, p) (said[m].term == term && said[m].part[p].order >= NOW(p).order)
#endif
#ifdef MUTANT_ASK_ONLY_THE_OWNER
#define ASKED(m, p) (said[m].part[p].owned)
#else
#define ASKED(m, p) true
#endif
#define QUIET_MEMBER(m, p) \
    (!COUNTS(m) || !ASKED(m, p) || (ACKNOWLEDGED(m, p) && (COLOR(m) != NOW(p).holder || !BUSY(m, p))))
/* rule 4 and 5: every member of both colors knows the order, and none of the holder's is at work */
#define BATON_QUIET(p) (fact[p].barrier_read && EVERY(QUIET_MEMBER, p))
/* rule 12: a doubt that a member has reported and the document does not have yet */
#define MEMBER_DOUBTS(m, p) (COUNTS(m) && COLOR(m) == NOW(p).holder && said[m].part[p].doubt > NOW(p).doubt)

inline forget_facts(p)
{
    fact[p].barrier_read = 0;
    fact[p].read = 0
}

inline baton_order(p)
{
    NOW(p).right = RELEASING;
    NOW(p).order = NOW(p).order + 1;
    forget_facts(p)
}

inline baton_restore(p)
{
    NOW(p).right = (NOW(p).taken -> HELD : GRANTED);
    NOW(p).order = NOW(p).order + 1;
    forget_facts(p)
}

inline baton_grant(p, from_offset)
{
    NOW(p).right = GRANTED;
    NOW(p).holder = OTHER(NOW(p).holder);
    NOW(p).from = from_offset;
    NOW(p).epoch = NOW(p).epoch + 1;
    NOW(p).order = NOW(p).order + 1;
    NOW(p).taken = 0;
    NOW(p).doubt = 0;
    forget_facts(p);
    assert(NOW(p).epoch < FOLLOW_MARK && NOW(p).order < 15)
}

/* All that may be ordered now: op_begin, and the walk over the batons after a turn back. */
inline order_all()
{
    for (i : 0 .. PARTITIONS - 1) {
        if
        :: AIM_PASS(i) && NOW(i).right == HELD && NOW(i).doubt == 0 -> baton_order(i)
        :: AIM_PASS(i) && NOW(i).right == GRANTED && operation == RETURNING -> baton_order(i) /* never taken: no need to wait */
        :: else
        fi
    }
}

#define CAN_OP_BEGIN (ROOM && operations > 0 && (operation == NONE || operation == COMPLETE || operation == ROLLED_BACK))
inline op_begin()
{
    operations--;
    to = OTHER(active_color);
    operation = PASSING;
    append();
    order_all();
    printf("the leader begins an operation\n");
    trim()
}

/* Rule 6 as the holder's color would apply it: where it has ended. */
#define THEIRS(p) GROUP(NOW(p).holder, p)
#ifdef MUTANT_FORGET_EPOCH
#define RELEASED_OFFSET(p) (THEIRS(p).mark == NO_MARK || THEIRS(p).mark == FOLLOW_MARK -> NOW(p).from : THEIRS(p).committed)
#else
#define RELEASED_OFFSET(p) (THEIRS(p).mark == NOW(p).epoch -> THEIRS(p).committed : NOW(p).from)
#endif
#define FOREIGN(p) (THEIRS(p).mark == FOLLOW_MARK && NOW(p).taken)

/* A baton with a doubt is ordered when its color has passed it (rule 10). */
#ifdef MUTANT_NO_DOUBT
#define DOUBT_KEEPS(p) false
#else
#define DOUBT_KEEPS(p) (NOW(p).doubt > RELEASED_OFFSET(p))
#endif
#define CAN_ORDER(p) (ROOM && AIM_PASS(p) && NOW(p).right == HELD && NOW(p).doubt > 0 && !DOUBT_KEEPS(p))
inline order_after_doubt(p)
{
    append();
    NOW(p).doubt = 0;
    baton_order(p);
    printf("the leader orders partition %d, its doubt has passed\n", p);
    trim()
}

/* Rule 2: after the order is written, the reports are read to their end. */
#define NEEDS_BARRIER(p) (NOW(p).right == RELEASING && !fact[p].barrier_read)
#if PARTITIONS == 1
#define CAN_READ_REPORTS (UNDER_WAY && NEEDS_BARRIER(0))
#else
#define CAN_READ_REPORTS (UNDER_WAY && (NEEDS_BARRIER(0) || NEEDS_BARRIER(1)))
#endif
inline read_reports()
{
    for (i : 0 .. MEMBERS - 1) {
        said[i].known = said[i].there
    }
    for (i : 0 .. PARTITIONS - 1) {
        fact[i].barrier_read = (NOW(i).right == RELEASING)
    }
    printf("the leader has read the reports to their end\n")
}

#define CAN_ON_REPORT(m) (said[m].there && !said[m].known)
inline on_report(m)
{
    said[m].known = 1;
    printf("the leader reads of member %d\n", m)
}

#define CAN_NOTE_DOUBT(m, p) (ROOM && MEMBER_DOUBTS(m, p))
inline member_doubts(m, p)
{
    append();
    NOW(p).doubt = said[m].part[p].doubt;
    printf("the leader notes a doubt of member %d on partition %d\n", m, p);
    trim()
}

/* Rule 4, last part: the committed offset, read back from the brokers when all are quiet. */
#define RELEASES(p) (UNDER_WAY && AIM_PASS(p) && NOW(p).right == RELEASING)
#ifdef MUTANT_GRANT_BEFORE_READ_BACK
#define CAN_READ_OFFSET(p) (RELEASES(p) && fact[p].read == 0)
#else
#define CAN_READ_OFFSET(p) (RELEASES(p) && fact[p].read == 0 && BATON_QUIET(p) && !SOME(MEMBER_DOUBTS, p) && !FOREIGN(p))
#endif
inline read_offset(p)
{
    fact[p].read = RELEASED_OFFSET(p) + 1;
    printf("the leader reads that partition %d is committed to %d\n", p, fact[p].read - 1)
}

/* Rule 5. */
#define CAN_RELEASED(p) (ROOM && RELEASES(p) && fact[p].read > 0 && BATON_QUIET(p) && !SOME(MEMBER_DOUBTS, p))
#define BEGAN(p) (NOW(p).taken || THEIRS(p).mark == NOW(p).epoch)
inline baton_released(p)
{
    append();
    offset = fact[p].read - 1;
    if
    :: NOW(p).doubt > offset && !BEGAN(p) -> NOW(p).doubt = 0 /* who was lost had not begun */
    :: else
    fi;
#ifdef MUTANT_NO_DOUBT
    NOW(p).doubt = 0;
#endif
    if
    :: NOW(p).doubt > offset -> /* its color does that again first (rule 10) */
        NOW(p).taken = 1;
        baton_restore(p);
        printf("the leader takes the order of partition %d back, for a doubt\n", p)
    :: else ->
        baton_grant(p, offset);
        printf("the leader grants partition %d to color %d from %d\n", p, NOW(p).holder, NOW(p).from)
    fi;
    trim()
}

#define TAKES(m, p) \
    (COUNTS(m) && COLOR(m) == NOW(p).holder && said[m].part[p].owned && said[m].part[p].shows == ACTIVE && \
     said[m].part[p].order == NOW(p).order)
#define CAN_TAKEN(p) (ROOM && NOW(p).right == GRANTED && SOME(TAKES, p))
inline baton_taken(p)
{
    append();
    NOW(p).right = HELD;
    NOW(p).taken = 1;
    printf("the leader sees that partition %d is taken\n", p);
    trim()
}

#define AT_TO(p) (NOW(p).right == HELD && NOW(p).holder == to)
#define AT_FROM(p) (NOW(p).right == HELD && NOW(p).holder == FROM)
#define NOT_MOVING(p) (NOW(p).right != RELEASING)

#define CAN_PASSED (operation == PASSING && ALL(AT_TO))
inline stage_passed()
{
    operation = OBSERVING;
    printf("the leader observes\n")
}

#define CAN_COMPLETE (operation == OBSERVING)
inline op_complete()
{
    operation = COMPLETE;
    active_color = to;
    printf("the operation is complete\n")
}

/* Rule 9: what is not granted stays where it is, under a new word; the rest is passed back. */
inline turn_back_here()
{
    for (i : 0 .. PARTITIONS - 1) {
        if
        :: NOW(i).right == RELEASING -> baton_restore(i)
        :: else
        fi
    }
    operation = RETURNING;
    order_all();
    printf("the leader turns back\n")
}

inline turn_back()
{
    append();
    turn_back_here();
    trim()
}

/* the deadline, or the operator */
#define CAN_TURN_BACK (ROOM && (operation == PASSING || operation == OBSERVING) && HAPPENS(DEADLINES))

#define CAN_BACK_HOME (operation == RETURNING && ALL(AT_FROM))
inline back_home()
{
    operation = ROLLED_BACK;
    printf("the operation is rolled back\n")
}

inline give_up()
{
    append();
    for (i : 0 .. PARTITIONS - 1) {
        if
        :: NOW(i).right == RELEASING -> baton_restore(i)
        :: else
        fi
    }
    operation = NEEDS_OPERATOR;
    printf("the leader gives up\n");
    trim()
}

/* Rules 9 and 10: the brokers list it no more and gone_after has passed; what it may have done is a doubt. */
#ifdef MUTANT_TRUST_SILENCE
#define IS_GONE(m) (member[m].life == DEAD || member[m].life == CUT || member[m].life == OUT)
#else
#define IS_GONE(m) \
    (member[m].life == DEAD || (member[m].life == OUT && PART(m, 0).state == IDLE && PART(m, PARTITIONS - 1).state == IDLE))
#endif
#define BEGUN(p) (delivered[p] | delivered[PARTITIONS + (p)])
#define LOG_END(p) (BEGUN(p) >= 4 -> 3 : (BEGUN(p) >= 2 -> 2 : (BEGUN(p) >= 1 -> 1 : 0))) /* records come just in time */
#define WORKED(m, p) (NOW(p).holder == COLOR(m) && (said[m].part[p].owned || BUSY(m, p)))
#define CAN_GONE(m) (ROOM && COUNTS(m) && IS_GONE(m))
inline member_gone(m)
{
    append();
    changed = 0;
    for (i : 0 .. PARTITIONS - 1) {
        if
        :: WORKED(m, i) && LOG_END(i) > NOW(i).doubt ->
            NOW(i).doubt = LOG_END(i);
            changed = 1
        :: else
        fi;
        said[m].part[i].owned = 0;
        said[m].part[i].shows = 0;
        said[m].part[i].order = 0;
        said[m].part[i].doubt = 0
    }
    said[m].there = 0;
    said[m].known = 0;
    said[m].term = 0;
    if
    :: member[m].life == DEAD -> member[m].life = UNUSED
    :: else
    fi;
    printf("the leader forgets member %d\n", m);
    if
    :: operation == PASSING && COLOR(m) == FROM -> turn_back_here()
    :: changed -> skip
    :: else ->
        clear_doc(newest);
        newest--
    fi;
    trim()
}

/* Another controller claims the lead: term, document and operation come from the log, members from their reports. */
#define CAN_REIGN (ROOM && HAPPENS(REIGNS) && term < 3)
inline switcher_reign()
{
    faults--;
    zombie = term;
    term++;
    append();
    for (i : 0 .. MEMBERS - 1) {
        said[i].known = said[i].there
    }
    for (i : 0 .. PARTITIONS - 1) {
        forget_facts(i)
    }
#ifdef MUTANT_FORGET_OPERATION
    operation = (UNDER_WAY -> NONE : operation);
#endif
    printf("another controller leads\n");
    trim()
}

/* ---- Kafka, and what happens to a member ---------------------------------------------------------------------------- */

#define LIVING(c) (LIVES((c) * SLOTS) + LIVES((c) * SLOTS + 1) + LIVES((c) * SLOTS + 2))

#define CAN_ASSIGN(m, p) (member[m].life == UP && GROUP(COLOR(m), p).owner == 0 && !PART(m, p).assigned)
inline on_assigned(m, p)
{
    GROUP(COLOR(m), p).owner = m + 1;
    PART(m, p).assigned = 1;
    PART(m, p).barrier = REPORT;
    member[m].due = 1;
    printf("partition %d is assigned to member %d\n", p, m)
}

/* A rebalance wants p for somebody else. */
#define CAN_REVOKE(m, p) (HAPPENS(REBALANCES) && member[m].life == UP && PART(m, p).assigned && !PART(m, p).revoking)
inline on_revoked(m, p)
{
    faults--;
    PART(m, p).revoking = 1;
    reconcile(m);
    printf("partition %d is revoked from member %d\n", p, m);
    tell(m)
}

inline disown(m)
{
    for (i : 0 .. PARTITIONS - 1) {
        if
        :: GROUP(COLOR(m), i).owner == m + 1 -> GROUP(COLOR(m), i).owner = 0
        :: else
        fi
    }
}

/* Its session ends, and it goes on in the belief that it owns what it owned. */
#define CAN_CUT(m) (HAPPENS(CUTS) && MAY_HIT(m) && member[m].life == UP)
inline session_lost(m)
{
    faults--;
    member[m].life = CUT;
    disown(m);
    printf("member %d loses its session\n", m)
}

#define CAN_CRASH(m) (HAPPENS(CRASHES) && MAY_HIT(m) && LIVES(m))
inline crash(m)
{
    faults--;
    disown(m);
    if
    :: follower == m + 1 ->
        follower = 0;
        follow_part = 0;
        follow_offset = 0
    :: else
    fi;
    member[m].life = (said[m].there -> DEAD : UNUSED);
    member[m].doc = 0;
    member[m].barrier_end = 0;
    member[m].due = 0;
    for (i : 0 .. PARTITIONS - 1) {
        PART(m, i).assigned = 0;
        PART(m, i).revoking = 0;
        PART(m, i).lost = 0;
        PART(m, i).state = 0;
        PART(m, i).barrier = 0;
        PART(m, i).barrier_epoch = 0;
        PART(m, i).epoch = 0;
        PART(m, i).position = 0;
        PART(m, i).committed = 0;
        PART(m, i).flying = 0;
        PART(m, i).doubt = 0
    }
    printf("member %d dies\n", m);
    trim()
}

/* A new incarnation has read the log; from here on it may be late again. */
#define FIRST_UNUSED(m) \
    (member[m].life == UNUSED && ((m) % SLOTS < 1 || member[(m) - 1].life != UNUSED) && \
     ((m) % SLOTS < 2 || member[(m) - 2].life != UNUSED))
#define CAN_RESTART(m) (FIRST_UNUSED(m) && LIVING(COLOR(m)) < 2)
inline restart(m)
{
    member[m].life = UP;
    member[m].doc = newest;
    member[m].due = 1;
    printf("member %d is started\n", m)
}

/* ---- every step of everybody, one at a time -------------------------------------------------------------------------- */

#define STEP(can, step) :: d_step { can -> step }

proctype Leader()
{
end:
    do
    STEP(CAN_OP_BEGIN, op_begin())
    EACH_BATON(CAN_ORDER, order_after_doubt)
    STEP(CAN_READ_REPORTS, read_reports())
    EACH_BATON(CAN_READ_OFFSET, read_offset)
    EACH_BATON(CAN_RELEASED, baton_released)
    EACH_BATON(CAN_TAKEN, baton_taken)
    STEP(CAN_PASSED, stage_passed())
    STEP(CAN_COMPLETE, op_complete())
    STEP(CAN_TURN_BACK, faults--; turn_back())
    STEP(CAN_BACK_HOME, back_home())
    STEP(timeout && operation == PASSING, turn_back())
    STEP(timeout && operation == RETURNING, give_up())
    STEP(CAN_REIGN, switcher_reign())
    od
}

/* What a member does, what the leader hears of it, what Kafka and fate do to it. */
proctype Member(byte m)
{
end:
    do
    STEP(CAN_ON_DOC(m), on_doc(m))
    STEP(CAN_ON_STALE_DOC(m), on_stale_doc(m))
    EACH(CAN_ON_LATE_DOC, on_late_doc, m)
    STEP(CAN_REPORT(m), holder_report(m))
    STEP(CAN_LOSE_REPORT(m), lose_report(m))
    EACH(CAN_ASK, part_barrier, m)
    EACH(CAN_BEGIN, part_begin, m)
    EACH(CAN_ON_STARTED, on_started, m)
    EACH(CAN_DELIVER, holder_deliver, m)
    EACH(CAN_DONE, holder_done, m)
    EACH(CAN_COMMIT, commit_progress, m)
    EACH(CAN_DRAINED, part_drained, m)
    EACH(CAN_LOSE_ANSWER, lose_answer, m)
    EACH(CAN_FOLLOW, follow, m)
    STEP(CAN_FOLLOWED(m), followed(m))
    EACH(CAN_LET_GO, revoke_finish, m)
    STEP(CAN_FENCE(m), holder_fenced(m))
    STEP(CAN_REJOIN(m), rejoin(m))
    STEP(CAN_ON_REPORT(m), on_report(m))
    EACH(CAN_NOTE_DOUBT, member_doubts, m)
    STEP(CAN_GONE(m), member_gone(m))
    EACH(CAN_ASSIGN, on_assigned, m)
    EACH(CAN_REVOKE, on_revoked, m)
    STEP(CAN_CUT(m), session_lost(m))
    STEP(CAN_CRASH(m), crash(m))
    STEP(CAN_RESTART(m), restart(m))
    od
}

/* A fleet at rest: blue works, green stands by, each member owns what two members share. */
init {
    d_step {
        log[0].term = term;
        for (i : 0 .. PARTITIONS - 1) {
            log[0].baton[i].epoch = 1;
            log[0].baton[i].order = 1;
            log[0].baton[i].taken = 1;
            GROUP(BLUE, i).mark = 1
        }
        for (i : 0 .. MEMBERS - 1) {
            if
            :: i % SLOTS < 2 ->
                member[i].life = UP;
                said[i].there = 1;
                said[i].known = 1;
                said[i].term = term;
                for (j : 0 .. PARTITIONS - 1) {
                    said[i].part[j].order = 1;
                    if
                    :: j % 2 == i % SLOTS ->
                        GROUP(COLOR(i), j).owner = i + 1;
                        PART(i, j).assigned = 1;
                        PART(i, j).barrier = PASSED;
                        PART(i, j).barrier_epoch = 1;
                        said[i].part[j].owned = 1;
                        if
                        :: COLOR(i) == BLUE ->
                            PART(i, j).state = ACTIVE;
                            PART(i, j).epoch = 1;
                            said[i].part[j].shows = ACTIVE
                        :: else
                        fi
                    :: else
                    fi
                }
            :: else
            fi
        }
        i = 0;
        j = 0
    }
    atomic {
        run Leader(); run Member(0); run Member(1); run Member(2); run Member(3); run Member(4); run Member(5)
    }
}

/* ---- properties ------------------------------------------------------------------------------------------------------ */

#define WORKS(m, p) (PART(m, p).state == ACTIVE || PART(m, p).flying)
#define BLUE_WORKS(p) (WORKS(0, p) || WORKS(1, p) || WORKS(2, p))
#define GREEN_WORKS(p) (WORKS(3, p) || WORKS(4, p) || WORKS(5, p))
#define ONE_HOLDER(p) (!(BLUE_WORKS(p) && GREEN_WORKS(p)))

#define I1 (ALL(ONE_HOLDER))
#define I2 (!gap && !overlap)
#define I4 (!went_back)
#define I6 ((UNDER_WAY || ALL(NOT_MOVING)) && (operation != COMPLETE || ALL(AT_TO)) && \
            (operation != ROLLED_BACK || ALL(AT_FROM)) && operation != NEEDS_OPERATOR)

ltl safe { [] (I1 && I2 && I4 && I6) }
ltl i1 { [] I1 }
ltl i2 { [] I2 }
ltl i4 { [] I4 }
ltl i6 { [] I6 }
ltl ends { [] (UNDER_WAY -> <> !UNDER_WAY) }

/* What must be possible: each of these has to be violated. */
#define BY_GREEN(p) (delivered[GREEN * PARTITIONS + (p)] == BIT(RECORDS) - 1 && operation == COMPLETE)
#define SURE(p) (NOW(p).doubt == 0)

ltl never_complete { [] (operation != COMPLETE) }
ltl never_rolled_back { [] (operation != ROLLED_BACK) }
#define BEFORE_FAULT (operation == PASSING && faults == FAULTS)
#define AFTER_FAULT (operation == PASSING && faults < FAULTS)
ltl never_complete_after_fault { ! <> (BEFORE_FAULT && <> (AFTER_FAULT && <> (operation == COMPLETE))) }
ltl never_doubt { [] ALL(SURE) }
ltl never_processed { [] ! ALL(BY_GREEN) }
