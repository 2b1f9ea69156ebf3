#!/usr/bin/env python3
"""mutants - the proof of the proof: plausible bugs, put into the core one at a time; the simulation, or a unit test, has to find each.

    mutants.py [--cc CC] [--worlds N] [--jobs N] [NAME...]

Each mutant is one replacement in the core, or a few where one rule is kept in two places. The files concerned are compiled
anew in a folder of their own, and worlds are run until one breaks: of a mutant of WHOLE the worlds of foreign fleets, and of one of
POLICY the core's unit tests instead. A mutant that survives is a hole in the worlds, in the judge or in the tests, and fails the run;
so does a replacement that no longer fits, since it would prove nothing. The last line is one object of JSON.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
UNIT_TESTS = ['test_' + t for t in 'switch_order switch_pass switch_member switch_op fleet holder receipt plan core stage verdict replay claim whole'.split()]
UNIT_WORLDS = ['reign', 'documents'] # what some of them share
UNIT_FLAGS = ['-std=c11', '-D_GNU_SOURCE', '-O1', '-w', f'-I{ROOT}/src', f'-I{ROOT}/tests', f'-I{ROOT}']
FLAGS = ['-std=c11', '-D_GNU_SOURCE', '-DBATON_SIM', '-O1', '-w', '-include', f'{ROOT}/tests/sim/sim_limits.h', f'-I{ROOT}/src', f'-I{ROOT}/tests/sim']
WHOLE_FLAGS = [f for f in FLAGS if f != '-DBATON_SIM']
WHOLE_WORLDS_MAX = 400 # a tenth of a second each

# name, rule, and the edits: file, what is there, what the bug makes of it
MUTANTS = [
    ('no barrier', '2', [
        ('holder.c',
         '        p->barrier = BARRIER_REPORT;\n        p->barrier_report',
         '        p->barrier = BARRIER_PASSED;\n        p->barrier_report'),
    ]),
    ('barrier before report', '2', [
        ('holder.c',
         'h->report_acked >= p->barrier_report && now_ms',
         'now_ms'),
    ]),
    ('log end not caught up with', '2', [
        ('holder.c',
         'p->barrier == BARRIER_CATCH_UP && h->log_position >= p->barrier_end',
         'p->barrier == BARRIER_CATCH_UP'),
    ]),
    ('reports not read to their end', '2', [
        ('switch_pass.c',
         's->barrier_read >= b->order && ',
         ''),
    ]),
    ('barrier answered by a failed reading', '3', [
        ('switch_pass.c',
         '    if (!ev->failed)\n        s->barrier_read',
         '    s->barrier_read'),
    ]),
    ('release before in-flight work is done', '4', [
        ('holder.c',
         'else if (p->window.open == 0 && p->token == 0)',
         'else if (p->token == 0)'),
    ]),
    ('only the owner is asked', '4', [
        ('switch_member.c',
         '            if (part_busy(part, &s->fleet->batons[i]))',
         '            if (part->owned && part_busy(part, &s->fleet->batons[i]))'),
    ]),
    ('work in flight does not count', '4', [
        ('switch_pass.c',
         '!s->facts[i].busy[b->holder] &&\n',
         '\n'),
    ]),
    ('grant before the read-back', '4', [
        ('switch_pass.c',
         'const int64_t o = released_offset(b, reading->offset, reading->mark);',
         'const int64_t o = owned ? owned->position : released_offset(b, reading->offset, reading->mark);'),
    ]),
    ('the receiver need not acknowledge', '5', [
        ('switch_pass.c',
         '(a->to == b->holder || members_acknowledged(s, a->to, b->order))',
         'true'),
    ]),
    ('grant one too early', 'I3', [
        ('switch_pass.c',
         '    int64_t from = o;\n',
         '    int64_t from = o > 0 ? o - 1 : o;\n'),
    ]),
    ('grant one too late', 'I2', [
        ('switch_pass.c',
         '    p->from = from;\n',
         '    p->from = from = from + 1;\n'),
    ]),
    ('start at the grant whatever is committed', '6', [
        ('holder.c',
         '*ret = mark.epoch == b->epoch ? committed : b->from;',
         '*ret = b->from;'),
    ]),
    ("a former life's commit is believed", '6', [
        ('holder.c',
         '*ret = mark.epoch == b->epoch ? committed : b->from;',
         '*ret = committed;'),
    ]),
    ('begins twice under one grant', '6', [
        ('holder.c',
         ' && b->epoch != p->epoch && p->state == PART_IDLE',
         ' && p->state == PART_IDLE'),
    ]),
    ('late follow-commit', '7', [
        ('holder.c',
         '        if (h->parts[i].used && h->parts[i].follow_commit)\n            return; /* rule 7',
         '        if (0)\n            return; /* rule 7'),
    ]),
    ('follows while a partition is released', '7', [
        ('holder.c',
         '[RIGHT_RELEASING] = WORD_QUIET',
         '[RIGHT_RELEASING] = WORD_FOLLOW'),
    ]),
    ('partitions are born with the wrong color', '8', [
        ('switch.c',
         '            .holder = s->fleet->active,\n            .from = ev->first_offsets[p],',
         '            .holder = color_other(s->fleet->active),\n            .from = ev->first_offsets[p],'),
    ]),
    ('without a baton everything is delivered', '8', [
        ('holder.c',
         'return b ? words[b->holder == h->config.color][b->state] : WORD_NOTHING;',
         'return b ? words[b->holder == h->config.color][b->state] : WORD_PROCESS;'),
    ]),
    ('gone as soon as it is not listed', '9', [
        ('switch_member.c',
         '        if (g->rebalancing || s->groups_asked_ms - m->missing_since_ms < gone_after_ms ||\n            ev->now_ms - m->heard_ms < gone_after_ms)\n            continue;\n',
         ''),
    ]),
    ('doubt forgotten', '10', [
        ('switch_member.c',
         'if (b->holder == m->report->color && r->offset > b->doubt)',
         'if (0)'),
    ]),
    ('doubt never waits', '10', [
        ('switch_pass.c',
         '        fact->waits_doubt = doubt_keeps(s, b);',
         '        fact->waits_doubt = false;'),
    ]),
    ('doubt not listed', '10', [
        ('switch_pass.c',
         '    p->doubt = b->doubt > o ? b->doubt : OFFSET_NONE;',
         '    p->doubt = OFFSET_NONE;'),
    ]),
    ('a member never fences itself', '11', [
        ('holder.c',
         'return now_ms - h->contact_ms >= h->config.session_timeout_ms;',
         'return false;'),
    ]),
    ('a revocation waits for nothing', '12', [
        ('holder.c',
         'h->answer_revoke && revoke_settled(h, ev->now_ms)',
         'h->answer_revoke'),
    ]),
    ('what cannot be committed is forgotten', '12', [
        ('holder.c',
         '        p->doubt = p->window.position;',
         '        (void)0;'),
    ]),
    ('what is left in flight is forgotten', '12', [
        ('holder.c',
         '        .in_flight = (int32_t)p->window.open,',
         '        .in_flight = p->assigned ? (int32_t)p->window.open : 0,'),
    ]),
    ('older reports count', '13', [
        ('switch_member.c',
         '    if (m && new->sequence <= m->report->sequence) {',
         '    if (0) {'),
    ]),
    ('dead terms count', '1', [
        ('terms.c',
         'return term >= t->highest;',
         'return term >= -1;'),
    ]),
    ('older documents count', 'I4', [
        ('fleet.c',
         'if (version_compare(doc->version, f->version) < 0)',
         'if (0)'),
    ]),
    ('an order taken back makes a new grant', '9', [
        ('switch_word.c',
         'word_move(b, b->taken ? RIGHT_HELD : RIGHT_GRANTED);\n    b->order = s->fleet->version.epoch;',
         'word_move(b, b->taken ? RIGHT_HELD : RIGHT_GRANTED);\n    b->epoch = b->order = s->fleet->version.epoch;'),
    ]),
    ('the deadline is forgotten', '15', [
        ('switch_op.c',
         'return s->now_ms >= s->deadline_ms;',
         'return false;'),
    ]),
    ('a new leader starts the time anew for ever', '15', [
        ('switch_op.c',
         'left_ms < 0 ? 0 : left_ms > lasts_ms ? lasts_ms : left_ms',
         '1000000'),
    ]),
    ('the way back forgets what was granted', '9', [
        ('switch_op.c',
         '(a.back ? b->epoch >= op->epoch_first :',
         '(a.back ? b->epoch > op->epoch_last :'),
    ]),
    ('complete before all have moved', 'I6', [
        ('switch_op.c',
         '        if (a.aim != AIM_REST)\n            return false;\n        if (b->state == RIGHT_PAUSED && !op_between',
         '        if (b->state == RIGHT_PAUSED && !op_between'),
    ]),
    ('a shard is written without its head', '1', [
        ('switch_word.c',
         '        s->fleet->written_unix_us = now_unix_us;\n        s->dirty.head = true;',
         '        s->fleet->written_unix_us = now_unix_us;\n        s->dirty.head = s->fleet->baton_count <= SHARD_BATONS;'),
    ]),
    ('a shard is not written', '1', [
        ('switch_word.c',
         '    s->dirty.shards[i / SHARD_BATONS] = true;\n    return &s->fleet->batons[i];',
         '    s->dirty.shards[0] = true;\n    return &s->fleet->batons[i];'),
    ]),
    ('a listed doubt is not written first', 'I3', [
        ('switch_pass.c',
         '    if (p->doubt != OFFSET_NONE || p->repeat_to != OFFSET_NONE)\n        s->dirty.passes[i / SHARD_BATONS] = true;\n',
         ''),
    ]),
    ('watermark of the newest, not the lowest', 'I2', [
        ('window.c',
         'return w->head == w->tail ? w->position : slot(w, w->head)->offset;',
         'return w->position;'),
    ]),
    ('revoked partitions keep flowing', '12', [
        ('holder.c',
         'const bool may_begin = p->assigned && !p->revoking && !h->closing',
         'const bool may_begin = p->assigned && !h->closing'),
    ]),
    ('goodbye with work in flight', '12', [
        ('holder.c',
         'ret->goodbye = h->left && nothing_in_flight(h);',
         'ret->goodbye = h->left;'),
    ]),
    ('pauses a partition that is not released', '4', [
        ('switch_pass.c',
         'ask = baton_quiet(s, i, &a);',
         'ask = baton_quiet(s, i, &a) || a.aim == AIM_PAUSE;'),
        ('switch_pass.c',
         '(a.aim == AIM_PASS || a.aim == AIM_PAUSE) && baton_quiet(s, i, &a))',
         '(a.aim == AIM_PASS || a.aim == AIM_PAUSE) && (baton_quiet(s, i, &a) || a.aim == AIM_PAUSE))'),
    ]),
    ('taken before it is active', '6', [
        ('switch_pass.c',
         '        fact->owned[b->holder]->local == LOCAL_ACTIVE)\n        word_hold',
         '        true)\n        word_hold'),
    ]),
    ('acknowledgement of an older order counts', '13', [
        ('switch_member.c',
         ' ||\n           part->order != b->order;',
         ';'),
        ('switch_member.c',
         'r->applied.term == s->fleet->version.term && r->applied.epoch >= order',
         'r->applied.term == s->fleet->version.term'),
    ]),
    ('only members that own it need answer', '4', [
        ('switch_member.c',
         ' ||\n           part->order != b->order;',
         ';'),
        ('switch_pass.c',
         'members_acknowledged(s, b->holder, b->order) &&\n',
         'true &&\n'),
    ]),
    ('silence is consent', '9', [
        ('switch_member.c',
         '        if (!s->members[m].used || s->members[m].forgotten || r->goodbye)',
         '        if (!s->members[m].used || s->members[m].forgotten || r->goodbye || s->now_ms - s->members[m].heard_ms > 1500)'),
        ('switch_member.c',
         'return m->used && !m->forgotten && !m->report->goodbye && m->report->color == c;',
         'return m->used && !m->forgotten && !m->report->goodbye && m->report->color == c;'),
    ]),
    ('after a rebalance it goes on without asking', '2', [
        ('holder.c',
         '        p->barrier = BARRIER_REPORT;\n        p->barrier_report',
         '        p->barrier = h->joined && h->log_position > 0 ? BARRIER_PASSED : BARRIER_REPORT;\n        p->barrier_report'),
    ]),
    ('the log end of an older question is good enough', '2', [
        ('holder.c',
         'p->barrier != BARRIER_LOG_END || p->barrier_token != ev->token',
         'p->barrier == BARRIER_PASSED'),
    ]),
    ('an unanswered question for the log end counts', '3', [
        ('holder.c',
         'p->barrier = ev->failed ? BARRIER_REPORT : BARRIER_CATCH_UP;',
         'p->barrier = BARRIER_CATCH_UP;'),
    ]),
    ('claims are not taken note of', '1', [
        ('terms.c',
         'if (offset > t->highest)',
         'if (0)'),
    ]),
    ('a failed commit counts', '4', [
        ('holder.c',
         '    if (failed) {\n        part_retry(h, p, ev->now_ms);\n        return;\n    }\n    p->token = 0;\n    p->committed',
         '    p->token = 0;\n    p->committed'),
    ]),
    ('released before the commit is acknowledged', '4', [
        ('holder.c',
         '{ "committing", LOCAL_DRAINING,',
         '{ "committing", LOCAL_RELEASED,'),
    ]),
    ('draining is called released', '4', [
        ('holder.c',
         '{ "draining", LOCAL_DRAINING,',
         '{ "draining", LOCAL_RELEASED,'),
    ]),
    ('active is called standby', '4', [
        ('holder.c',
         '{ "active", LOCAL_ACTIVE,',
         '{ "active", LOCAL_STANDBY,'),
    ]),
    ('the offset is read before the release', '4', [
        ('switch_pass.c',
         'ask = baton_quiet(s, i, &a);',
         'ask = true;'),
        ('switch_pass.c',
         '        fact->token = 0;\n        if (ev->failed || r->failed || b->order',
         '        if (!baton_quiet(s, i, &(struct aim_of){ .to = color_other(b->holder) }))\n            continue;\n        fact->token = 0;\n        if (ev->failed || r->failed || b->order'),
    ]),
    ('what was paused goes on at its grant', '5', [
        ('switch_word.c',
         '    word_move(b, RIGHT_PAUSED);\n    b->from = from;',
         '    word_move(b, RIGHT_PAUSED);'),
    ]),
    ("a standby's mark is believed", '6', [
        ('holder.c',
         '    case MARK_FOLLOW:\n        *ret = b->from;',
         '        *ret = b->from;\n        return true;\n    case MARK_FOLLOW:\n        *ret = committed;'),
    ]),
    ("a reset is obeyed before anything was taken", '6', [
        ('holder.c',
         '*ret = b->taken ? committed : b->from;',
         '*ret = committed;'),
    ]),
    ("a reset is never obeyed", '6', [
        ('holder.c',
         '*ret = b->taken ? committed : b->from;',
         '*ret = b->from;'),
    ]),
    ('a commit carries the mark of the document, not of the grant', '6', [
        ('holder.c',
         '(struct mark){ MARK_EPOCH, p->epoch }',
         '(struct mark){ MARK_EPOCH, h->fleet->version.epoch }'),
    ]),
    ('a grant has the epoch of the one before', '6', [
        ('switch_word.c',
         '    b->epoch = b->order = s->fleet->version.epoch;\n    b->taken = false;',
         '    b->order = s->fleet->version.epoch;\n    b->taken = false;'),
    ]),
    ('a grant counts as taken at once', '6', [
        ('switch_word.c',
         '    b->taken = false;',
         '    b->taken = true;'),
    ]),
    ('the read-back believes a former life', '6', [
        ('switch_pass.c',
         '        if (mark.epoch > b->epoch)\n            return OFFSET_NONE;\n        return mark.epoch == b->epoch ? committed : b->from;',
         '        return committed;'),
    ]),
    ('follows what is granted', '7', [
        ('holder.c',
         '      [RIGHT_GRANTED] = WORD_QUIET },\n    { [RIGHT_HELD]',
         '      [RIGHT_GRANTED] = WORD_FOLLOW },\n    { [RIGHT_HELD]'),
    ]),
    ('a follow-commit is not called off', '7', [
        ('holder.c',
         'p->state != PART_IDLE || !p->assigned || p->revoking || h->closing ||\n            word_of(h, baton_of(h, p)) != WORD_FOLLOW)',
         'p->state != PART_IDLE || !p->assigned || p->revoking || h->closing)'),
    ]),
    ('partitions are born one record too late', '8', [
        ('switch.c',
         '.from = ev->first_offsets[p],',
         '.from = ev->first_offsets[p] + 1,'),
    ]),
    ('partitions of a paused fleet are born at work', '8', [
        ('switch.c',
         'born_paused(s->fleet->phase) ? RIGHT_PAUSED : RIGHT_HELD',
         'RIGHT_HELD'),
    ]),
    ('gone though it still speaks', '9', [
        ('switch_member.c',
         ' ||\n            ev->now_ms - m->heard_ms < gone_after_ms)',
         ')'),
        ('switch_member.c',
         '    m->missing_since_ms = 0;\n    m->ends_token = 0;',
         '    m->ends_token = 0;'),
    ]),
    ('gone though its group is rebalancing', '9', [
        ('switch_member.c',
         'g->rebalancing || s->groups_asked_ms - m->missing_since_ms < gone_after_ms ||',
         ''),
    ]),
    ('a member that is back is still missing', '9', [
        ('switch_member.c',
         '            m->missing_since_ms = 0;\n            continue;',
         '            continue;'),
        ('switch_member.c',
         '    m->missing_since_ms = 0;\n    m->ends_token = 0;',
         '    m->ends_token = 0;'),
        ('switch_member.c',
         ' ||\n            ev->now_ms - m->heard_ms < gone_after_ms)',
         ')'),
    ]),
    ('nobody turns back when a holder is lost', '9', [
        ('switch_member.c',
         '    op_turn_back(s, CAUSE_MEMBER_GONE, why, ev->now_unix_us);',
         '    (void)why;'),
    ]),
    ('an order taken back keeps its number', '9', [
        ('switch_word.c',
         'word_move(b, b->taken ? RIGHT_HELD : RIGHT_GRANTED);\n    b->order = s->fleet->version.epoch;',
         'word_move(b, b->taken ? RIGHT_HELD : RIGHT_GRANTED);'),
    ]),
    ('only records in flight are in doubt', '10', [
        ('switch_member.c',
         '(part->owned || part->in_flight > 0)',
         'part->in_flight > 0'),
    ]),
    ('a doubt is one record short', '10', [
        ('switch_member.c',
         'word_change(s, r->baton, ev->now_unix_us)->doubt = r->offset;',
         'word_change(s, r->baton, ev->now_unix_us)->doubt = r->offset - 1;'),
    ]),
    ('a doubt is over when the brokers show it', '10', [
        ('switch_pass.c',
         'owned->order == b->order && owned->local == LOCAL_ACTIVE && owned->committed >= b->doubt',
         'owned->committed >= b->doubt - 1'),
    ]),
    ('a doubt that a member tells is not written down', '12', [
        ('switch_member.c',
         '        word_change(s, i, now_unix_us)->doubt = part->doubt;',
         '        (void)now_unix_us;'),
    ]),
    ('a resume forgets the doubt', '10', [
        ('switch_word.c',
         '    if (b->holder != to)\n        b->doubt = OFFSET_NONE;',
         '    b->doubt = OFFSET_NONE;'),
    ]),
    ('a failed commit is a sign of life', '11', [
        ('holder.c',
         'if (!failed && p->asked_ms > h->contact_ms)',
         'if (p->asked_ms > h->contact_ms)'),
    ]),
    ('contact is when the answer comes', '11', [
        ('holder.c',
         '        h->contact_ms = p->asked_ms;',
         '        h->contact_ms = ev->now_ms;'),
    ]),
    ('what was lost is committed all the same', '11', [
        ('holder.c',
         'h->parts[n].lost || lost; /*',
         'h->parts[n].lost; /*'),
    ]),
    ('what is left over is committed', '12', [
        ('holder.c',
         'return p->assigned && !p->lost && (!b ||',
         'return p->assigned && (!b ||'),
        ('holder.c',
         '    case PART_COMMITTING:\n        if (!p->assigned || p->lost)',
         '    case PART_COMMITTING:\n        if (!p->assigned)'),
    ]),
    ('a report names only what it owns', '12', [
        ('holder.c',
         '        if (!p->used || part_over(p))\n            continue;\n        passed',
         '        if (!p->used || part_over(p) || !p->assigned)\n            continue;\n        passed'),
    ]),
    ('acknowledged in another reign', '13', [
        ('switch_member.c',
         'r->applied.term == s->fleet->version.term && r->applied.epoch >= order',
         'r->applied.epoch >= order'),
    ]),
    ('acknowledges what has half arrived', 'I4', [
        ('holder.c',
         'if (version_compare(h->acknowledged, h->fleet->applied) < 0) {\n        h->acknowledged = h->fleet->applied;',
         'if (version_compare(h->acknowledged, h->fleet->version) < 0) {\n        h->acknowledged = h->fleet->version;'),
        ('holder.c',
         '    ASSERT(version_compare(h->acknowledged, h->fleet->applied) <= 0);',
         '    (void)0;'),
    ]),
    ('a late shard is lost', '1', [
        ('fleet.c',
         '    if (doc->kind == DOC_WHOLE || first + new->baton_count > f->baton_count)',
         '    if (doc->kind == DOC_WHOLE || (first <= f->baton_count && first + new->baton_count > f->baton_count + SHARD_BATONS))'),
    ]),
    ('delivers while it drains', 'I5', [
        ('holder.c',
         'if (!p->used || p->state != PART_ACTIVE || offset < p->window.position) {',
         'if (!p->used || (p->state != PART_ACTIVE && p->state != PART_DRAINING) || offset < p->window.position) {'),
        ('holder.c',
         '        (p->want & ~(unsigned)WANT_ATTACH) | WANT_DETACH;',
         '    p->want &= ~(unsigned)WANT_ATTACH;'),
    ]),
    ('a stopped partition is fetched on', 'I5', [
        ('holder.c',
         '        (p->want & ~(unsigned)WANT_ATTACH) | WANT_DETACH;',
         '    p->want |= WANT_DETACH;'),
    ]),
    ('home before all is home', 'I6', [
        ('switch_op.c',
         '    if (!stage_passed(s)) {\n        s->home_ms = 0;\n        return false;\n    }\n',
         ''),
    ]),
    ('the way back is given up at once', '15', [
        ('switch_op.c',
         '        return s->op.deadline_ms + spec_gone_after_ms(&s->fleet->spec);',
         '        return 0;'),
    ]),
    ('a new leader gives no time', '15', [
        ('switch_op.c',
         's->deadline_ms = s->now_ms + (left_ms < 0 ? 0 : left_ms > lasts_ms ? lasts_ms : left_ms);',
         's->deadline_ms = s->now_ms;'),
    ]),
    ('a new leader gives all the time again', '15', [
        ('switch_op.c',
         's->deadline_ms = s->now_ms + (left_ms < 0 ? 0 : left_ms > lasts_ms ? lasts_ms : left_ms);',
         's->deadline_ms = s->now_ms + lasts_ms;'),
    ]),
    ('nothing is observed', '15', [
        ('switch_op.c',
         '} else if (s->op.held || !deadline_passed(s)) {',
         '} else if (s->op.held) {'),
    ]),
    ('what is asked twice is done twice', '15', [
        ('switch_order.c',
         '(strcmp(s->op.request_id, o->request_id) == 0 || strcmp(s->op.steered, o->request_id) == 0)) {',
         'false) {'),
    ]),
    ('a second order overtakes the first', 'I6', [
        ('switch_order.c',
         '} else if (under_way && !o->dry_run) {',
         '} else if (0) {'),
        ('switch_order.c',
         '    else if (!op_ended(&s->op))\n        order_reply(s, fx, REPLY_CONFLICT, "another operation has begun meanwhile");',
         ''),
    ]),
    ('the way back begins where the other had begun', 'I3', [
        ('switch_order.c',
         's->asked.replay && s->op.state == OP_COMPLETE && forth[i].grant ? forth[i].from : OFFSET_NONE;',
         's->op.state == OP_COMPLETE && forth[i].grant ? forth[i].from : OFFSET_NONE;'),
    ]),
    ('a passage counts without a first position', '6', [
        ('switch_pass.c',
         'part->order != b->order || part->local != LOCAL_ACTIVE || part->first < b->from',
         'part->order != b->order || part->local != LOCAL_ACTIVE'),
    ]),
    ('the receipt forgets who released', 'I3', [
        ('switch_pass.c',
         '        p->released = fact->owned[c]->committed;',
         '        p->released = fact->owned[c]->position - fact->owned[c]->in_flight - 1;'),
    ]),
    ("the receipt's standstill begins when it is heard", 'I3', [
        ('switch_pass.c',
         '        p->drained_unix_us = member_time(m, fact->owned[c]->drained_unix_us);',
         '        p->drained_unix_us = now_unix_us;'),
    ]),
    ("the receipt's sum leaves the doubts out", 'I3', [
        ('op.c',
         '        ret->listed_repeats = add(ret->listed_repeats, p->committed, p->doubt);\n',
         ''),
    ]),
    ("the receipt's order is the grant", 'I3', [
        ('switch_pass.c',
         '    p->order = b->order;\n    p->committed = o;',
         '    p->order = b->order + 1;\n    p->committed = o;'),
    ]),
    ('a log that was cut is followed from where it was', '4', [
        ('holder.c',
         '        return true; /* it stands below the cut */\n    window_reset(&p->window, offset);',
         '        return true; /* it stands below the cut */'),
    ]),
    ('a tombstone buries who has come back', 'I8', [
        ('switch_member.c',
         '    if (m && !m->forgotten && !m->report->goodbye) {\n        struct switcher_effect *e',
         '    if (m && !m->forgotten && !m->report->goodbye)\n        return;\n    if (0) {\n        struct switcher_effect *e'),
    ]),
    ('a tombstone is believed, whoever has spoken since', 'I8', [
        ('switch_member.c',
         '    if (m && !m->forgotten && !m->report->goodbye) {\n        struct switcher_effect *e',
         '    if (0) {\n        struct switcher_effect *e'),
    ]),
    ('a deposed leader is not overruled', '14', [
        ('fleet.c',
         'if (version_compare(doc->version, f->version) < 0)',
         'if (doc->version.epoch < f->version.epoch)'),
        ('terms.c',
         'return term >= t->highest;',
         'return true;'),
    ]),
    ('an order without a number of its own', '9', [
        ('switch_word.c',
         '    word_move(b, RIGHT_RELEASING);\n    b->order = s->fleet->version.epoch;',
         '    word_move(b, RIGHT_RELEASING);'),
    ]),
    ('who drains is not busy', '4', [
        ('switch_member.c',
         'part->local == LOCAL_ACTIVE || part->local == LOCAL_DRAINING ||',
         'part->local == LOCAL_ACTIVE ||'),
    ]),
    ('of two doubts that are told the smaller counts', '12', [
        ('switch_member.c',
         's->fleet->batons[i].doubt >= part->doubt)',
         's->fleet->batons[i].doubt <= part->doubt)'),
    ]),
    ('a doubt that is told is over one record early', '12', [
        ('switch_member.c',
         'owned->committed >= part->doubt)\n            continue;',
         'owned->committed >= part->doubt - 1)\n            continue;'),
    ]),
    ('a state of an operation is not written', '15', [
        ('switch_op.c',
         '    op_touch(s);\n    passes_touch(s);\n}',
         '    passes_touch(s);\n}'),
    ]),
    ("a dead term's newest record is not marked", '14', [
        ('replay.c',
         'mark(f, &r->key, ret.op, ret.fate != REPLAY_KEPT);',
         'mark(f, &r->key, ret.op, false);'),
    ]),
    ('a reign begins without healing', '14', [
        ('replay.c',
         'pen->heal = replay_needs_heal(f);',
         'pen->heal = false;'),
    ]),
    ("a dead term's record behind one's own is not heeded", '14', [
        ('replay.c',
         'if (fate == REPLAY_VOID ||',
         'if ('),
    ]),
    ('a higher claim is not heeded before it leads', '1', [
        ('claim.c',
         'if (ev->highest > c->term)',
         'if (c->state == CLAIM_LEADING && ev->highest > c->term)'),
    ]),
    ('a higher claim is not heeded by who leads', '1', [
        ('claim.c',
         'if (ev->highest > c->term)',
         'if (c->state != CLAIM_LEADING && ev->highest > c->term)'),
    ]),
    ('it leads without knowing who has spoken', '2', [
        ('claim.c',
         'enter(c, CLAIM_REPORTS);\n    return CLAIM_ASK_REPORTS;',
         'enter(c, CLAIM_LEADING);\n    return CLAIM_LEAD;'),
    ]),
    ("an earlier reign's claim is acknowledged late, and counts", '1', [
        ('claim.c',
         ' || ev->number != c->number',
         ''),
    ]),
    ('it claims before it has read the log', '1', [
        ('claim.c',
         'return CLAIM_ASK_LOG;',
         'enter(c, CLAIM_WRITE);\n        return CLAIM_APPEND;'),
    ]),
    ('a claim without an answer is waited for for ever', '15', [
        ('claim.c',
         'claim_under_way(c) && lasts_ms > CLAIM_MS_MAX',
         'false'),
    ]),
    ('a barrier is passed behind a record that could not be read', '2', [
        ('uptake.c',
         'return in->unreadable_count > 0 && in->unreadable_at < position ? in->unreadable_at : position;',
         'return position;'),
    ]),
    ('a head does not wait for its shards', '2', [
        ('uptake.c',
         '(r->shard < 0 && !r->gone && in->unreadable_count > 0)',
         'false'),
    ]),
    ("a member takes in a dead term's record", '1', [
        ('uptake.c',
         'r->gone || r->termless || terms_valid(&in->terms, r->term)',
         'true'),
    ]),
    ('who has lost the lead claims all the same', '1', [
        ('claim.c',
         'return leave(c, CLAIM_NONE, NULL, ev->now_ms);',
         'return claim_under_way(c) ? CLAIM_NOTHING : leave(c, CLAIM_NONE, NULL, ev->now_ms);'),
    ]),
]

# What one verdict, order, answer or report has to lead to is no matter of luck, so it stands in unit tests, and they have to find these.
POLICY = [
    ('an undecided stage is taken for worse', '-', [
        ('switch_op.c',
         'if (judged && v->verdict == VERDICT_WORSE) {',
         'if (judged && v->verdict != VERDICT_OK) {'),
    ]),
    ('worse is taken for nothing', '-', [
        ('switch_op.c',
         'if (judged && v->verdict == VERDICT_WORSE) {',
         'if (false) {'),
    ]),
    ('a verdict counts though nobody judges', '-', [
        ('switch_op.c',
         's->op.judged && s->op.judge != JUDGE_OFF;',
         's->op.judged;'),
    ]),
    ('the policies of some and of all are swapped', '-', [
        ('switch_op.c',
         'full ? policy->on_worse_full : policy->on_worse;',
         'full ? policy->on_worse : policy->on_worse_full;'),
    ]),
    ('worse is held, whatever the policy', '-', [
        ('switch_op.c',
         'if (on_worse == WORSE_ROLLBACK)',
         'if (false)'),
    ]),
    ('worse is turned back, whatever the policy', '-', [
        ('switch_op.c',
         'if (on_worse == WORSE_ROLLBACK)',
         'if (true)'),
    ]),
    ('all is passed one stage early', '-', [
        ('switch_op.c',
         'const bool full = s->op.stage + 1 == s->op.stages.count;',
         'const bool full = s->op.stage + 2 >= s->op.stages.count;'),
    ]),
    ('what is held by hand ends by itself', '-', [
        ('switch_op.c',
         '    } else if (s->op.by_hand) {\n        op_hold(s, now_unix_us);\n',
         ''),
    ]),
    ('an ok promotes at once', '-', [
        ('switch_op.c',
         '(s->op.held || policy->promote == PROMOTE_EARLY)) {',
         'true) {'),
    ]),
    ('an ok never promotes early', '-', [
        ('switch_op.c',
         '(s->op.held || policy->promote == PROMOTE_EARLY)) {',
         's->op.held) {'),
    ]),
    ('an ok does not end a hold', '-', [
        ('switch_op.c',
         '(s->op.held || policy->promote == PROMOTE_EARLY)) {',
         'policy->promote == PROMOTE_EARLY) {'),
    ]),
    ('a held stage ends by its time', '-', [
        ('switch_op.c',
         '} else if (s->op.held || !deadline_passed(s)) {',
         '} else if (!deadline_passed(s)) {'),
    ]),
    ('no verdict is as good as an ok', '-', [
        ('switch_op.c',
         '    } else if (s->op.judge != JUDGE_AUTO || (judged && v->verdict == VERDICT_OK) ||',
         '    } else if (true || (judged && v->verdict == VERDICT_OK) ||'),
    ]),
    ('undecided never promotes', '-', [
        ('switch_op.c',
         'policy->on_undecided == UNDECIDED_PROMOTE) {',
         'false) {'),
    ]),
    ('an ok in the end does not count', '-', [
        ('switch_op.c',
         's->op.judge != JUDGE_AUTO || (judged && v->verdict == VERDICT_OK) ||\n',
         's->op.judge != JUDGE_AUTO ||\n'),
    ]),
    ('who is blind turns back', '-', [
        ('switch_op.c',
         'policy->on_undecided == UNDECIDED_ROLLBACK && judged && !v->blind)',
         'policy->on_undecided == UNDECIDED_ROLLBACK && judged)'),
    ]),
    ('a stage that nobody judged is turned back', '-', [
        ('switch_op.c',
         'policy->on_undecided == UNDECIDED_ROLLBACK && judged && !v->blind)',
         'policy->on_undecided == UNDECIDED_ROLLBACK && !v->blind)'),
    ]),
    ('undecided is always turned back', '-', [
        ('switch_op.c',
         'policy->on_undecided == UNDECIDED_ROLLBACK && judged && !v->blind)',
         'judged && !v->blind)'),
    ]),
    ('a verdict of another operation counts', '-', [
        ('switch_op.c',
         'ev->number != s->op.number || ev->stage',
         'ev->stage'),
    ]),
    ('a verdict of another stage counts', '-', [
        ('switch_op.c',
         ' || ev->stage != s->op.stage)',
         ')'),
    ]),
    ('a verdict on the way counts', '-', [
        ('switch_op.c',
         'if (s->op.state != OP_OBSERVING || ev->number',
         'if (ev->number'),
    ]),
    ('a verdict is not written', '-', [
        ('switch_op.c',
         '        word_touch(s, ev->now_unix_us);\n        op_touch(s);\n    }\n    s->op.verdict',
         '    }\n    s->op.verdict'),
    ]),
    ('only the first verdict is kept', '-', [
        ('switch_op.c',
         '    s->op.verdict = *new;',
         '    if (!s->op.judged) s->op.verdict = *new;'),
    ]),
    ('the verdict of one stage counts for the next', '-', [
        ('switch_op.c',
         'op->judged = op->judged && state != OP_OBSERVING;',
         '(void)0;'),
    ]),
    ('a hold outlives its stage', '-', [
        ('switch_op.c',
         '    op->held = false;\n',
         ''),
    ]),
    ('a hold by hand outlives its promote', '-', [
        ('switch_op.c',
         '    s->op.by_hand = false;\n    if (s->op.stage + 1',
         '    if (s->op.stage + 1'),
    ]),
    ('a hold keeps its deadline', '-', [
        ('switch_op.c',
         '    s->op.deadline_unix_ms = s->fleet->deadline_unix_ms = 0;\n',
         ''),
    ]),
    ('a hold is not written', '-', [
        ('switch_op.c',
         '    s->op.deadline_unix_ms = s->fleet->deadline_unix_ms = 0;\n    op_touch(s);',
         '    s->op.deadline_unix_ms = s->fleet->deadline_unix_ms = 0;'),
    ]),
    ('an abort fails a version', '-', [
        ('switch_op.c',
         'if (cause == CAUSE_VERDICT && s->op.verdict.verdict == VERDICT_WORSE)',
         'if (s->op.verdict.verdict == VERDICT_WORSE)'),
    ]),
    ('an undecided fails a version', '-', [
        ('switch_op.c',
         'if (cause == CAUSE_VERDICT && s->op.verdict.verdict == VERDICT_WORSE)',
         'if (cause == CAUSE_VERDICT)'),
    ]),
    ('worse fails no version', '-', [
        ('switch_op.c',
         'if (cause == CAUSE_VERDICT && s->op.verdict.verdict == VERDICT_WORSE)',
         'if (false)'),
    ]),
    ('a version that has passed is still a failed one', '-', [
        ('switch_op.c',
         '        fleet_failed_drop(s->fleet, s->op.version_to);\n    op_move',
         '        (void)0;\n    op_move'),
    ]),
    ('the last stage is skipped', '-', [
        ('switch_op.c',
         'if (s->op.stage + 1 < s->op.stages.count) {\n        s->op.stage++;',
         'if (s->op.stage + 2 < s->op.stages.count) {\n        s->op.stage++;'),
    ]),
    ('the stages of an order are ignored', '-', [
        ('switch_order.c',
         'op->stages = o->stages.count ? o->stages : spec->stages;',
         'op->stages = spec->stages;'),
    ]),
    ('a stage takes the next one with it', '-', [
        ('switch_op.c',
         'op->forth[i].stage <= op->stage))',
         'op->forth[i].stage <= op->stage + 1))'),
    ]),
    ('who is born goes with the first stage', '-', [
        ('switch.c',
         's->op.forth[i].stage = (uint8_t)(s->op.stages.count - 1);',
         's->op.forth[i].stage = 0;'),
    ]),
    ('a name that is no partition is taken', '-', [
        ('stage.c',
         'if (fleet_find(f, s->names[i].topic, s->names[i].partition) < 0)\n            return i;',
         ''),
    ]),
    ('named partitions are taken by other stages', '-', [
        ('stage.c',
         '        if (s->items[k].kind == STAGE_NAMES)\n            pick_names(s, f, k, items, count);',
         '        if (false)\n            pick_names(s, f, k, items, count);'),
    ]),
    ('a share is rounded down', '-', [
        ('stage.c',
         'target = (int)(((int64_t)count * stage->amount + 99) / 100);',
         'target = (int)((int64_t)count * stage->amount / 100);'),
    ]),
    ('the heaviest pass first', '-', [
        ('stage.c',
         'return x->load < y->load ? -1 : 1;',
         'return x->load > y->load ? -1 : 1;'),
    ]),
    ('numbers of partitions add up', '-', [
        ('stage.c',
         'picked += pick_evenly(items, light, target - picked, k);',
         'picked += pick_evenly(items, light, target, k);'),
    ]),
    ('a promote while the stage is passing', '-', [
        ('switch_order.c',
         'if (o->kind == ORDER_PROMOTE && op->state == OP_PASSING && !op->by_hand) {',
         'if (false) {'),
    ]),
    ('a word of the operator is heard twice', '-', [
        ('switch_order.c',
         '    snprintf(op->steered, sizeof(op->steered), "%s", o->request_id);\n',
         ''),
    ]),
    ('a resume is aborted', '-', [
        ('switch_order.c',
         'if (o->kind == ORDER_ABORT ? !op_returns(s) : !switches) {',
         'if (o->kind == ORDER_ABORT ? false : !switches) {'),
    ]),
    ('a throttle lets one more work', '-', [
        ('switch_op.c',
         '(int64_t)(k + 1) * some / count > (int64_t)k * some / count',
         '(int64_t)(k + 1) * some / count >= (int64_t)k * some / count && some > 0'),
    ]),
    ('a throttle wakes none', '-', [
        ('switch_op.c',
         'paused_here(s, b) : s->facts[i].keep && b->state == RIGHT_PAUSED)',
         'paused_here(s, b) : false)'),
    ]),
    ('a throttle takes what it has stopped for what rested', '-', [
        ('switch_op.c',
         '(b->state == RIGHT_PAUSED && !paused_here(s, b));',
         '(b->state == RIGHT_PAUSED);'),
    ]),
    ('a throttle that only wakes is turned back', '-', [
        ('switch_op.c',
         '(s->op.kind != OP_THROTTLE || throttle_narrows(s))',
         'true'),
    ]),
    ('the way back of a pause wakes all', '-', [
        ('switch_op.c',
         'if (a.back ? paused_here(s, b) : b->state != RIGHT_PAUSED)',
         'if (a.back ? b->state == RIGHT_PAUSED : b->state != RIGHT_PAUSED)'),
    ]),
    ('a percentage of partitions is rounded down', '-', [
        ('switch_order.c',
         'o->keep + 99) / 100) : o->keep',
         'o->keep) / 100) : o->keep'),
    ]),
    ('a buried report is forgotten, not said again', '-', [
        ('switch_member.c',
         'struct switcher_effect *e = effect_add(fx, SWITCHER_RESTORE);',
         'struct switcher_effect *e = effect_add(fx, SWITCHER_FORGET);'),
    ]),
    ('a listing is as old as its answer', '-', [
        ('switch_member.c',
         's->groups_asked_ms - m->missing_since_ms < gone_after_ms',
         'ev->now_ms - m->missing_since_ms < gone_after_ms'),
    ]),
    ('a tombstone is written though its member speaks', '-', [
        ('switch_member.c',
         'return s->members[i].forgotten || s->members[i].report->goodbye;',
         'return true;'),
    ]),
    ('a listing is waited for for ever', '-', [
        ('switch_member.c',
         'ev->now_ms - s->groups_asked_ms > ANSWER_MS_MAX)\n        s->groups_out = false;',
         'false)\n        s->groups_out = false;'),
    ]),
    ('a preflight is waited for for ever', '-', [
        ('switch_order.c',
         'if (s->order_given && ev->now_ms - s->snapshot_asked_ms > ANSWER_MS_MAX)',
         'if (false)'),
    ]),
    ('a lost answer is waited for for ever', '-', [
        ('switch_pass.c',
         'if (fact->token && ev->now_ms - fact->asked_ms > ANSWER_MS_MAX)',
         'if (false)'),
    ]),
    ("a preflight's refusal refuses nothing", '-', [
        ('switch_order.c',
         '    else if (s->findings.refusals > 0)\n',
         '    else if (false)\n'),
    ]),
    ('a plan is carried out', '-', [
        ('switch_order.c',
         '    if (s->order.dry_run)\n        order_reply(s, fx, REPLY_PLANNED, "");\n    else if',
         '    if'),
    ]),
    ('a plan turns back', '-', [
        ('switch_order.c',
         'under_way && o->kind == ORDER_ROLLBACK && !o->dry_run &&',
         'under_way && o->kind == ORDER_ROLLBACK &&'),
    ]),
    ('a snapshot of another question counts', '-', [
        ('switch_order.c',
         'if (!s->order_given || ev->token != s->snapshot_token)',
         'if (!s->order_given)'),
    ]),
    ('an offset of another question counts', '-', [
        ('switch_pass.c',
         'if (i >= s->fleet->baton_count || fact->token != ev->token)',
         'if (i >= s->fleet->baton_count || fact->token == 0)'),
    ]),
    ('an offset that could not be read counts', '-', [
        ('switch_pass.c',
         'if (ev->failed || r->failed || b->order != fact->token_order) {',
         'if (ev->failed || b->order != fact->token_order) {'),
    ]),
    ('an offset counts though somebody has come', '-', [
        ('switch_pass.c',
         '(a.aim == AIM_PASS || a.aim == AIM_PAUSE) && baton_quiet(s, i, &a))',
         '(a.aim == AIM_PASS || a.aim == AIM_PAUSE))'),
    ]),
    ('the offsets of the other group are read', '-', [
        ('switch_pass.c',
         '                reads[c]->color = (enum color)c;',
         '                reads[c]->color = color_other((enum color)c);'),
    ]),
    ("the end of a lost member's log is not read", '-', [
        ('switch_member.c',
         '        n = member_works(s, m->report, NULL);\n        if (n == 0) {',
         '        n = member_works(s, m->report, NULL);\n        if (true) {'),
    ]),
    ('a doubt is over by what is fetched', '-', [
        ('switch_pass.c',
         'owned->local == LOCAL_ACTIVE && owned->committed >= b->doubt;',
         'owned->local == LOCAL_ACTIVE && owned->position >= b->doubt;'),
    ]),
    ('a doubt is over by an older word', '-', [
        ('switch_pass.c',
         'return owned && owned->order == b->order && owned->local == LOCAL_ACTIVE &&',
         'return owned && owned->local == LOCAL_ACTIVE &&'),
    ]),
    ('what was given again is not noted', '-', [
        ('switch_pass.c',
         '    if (fact->owned[c]->given_again > p->given_again)\n',
         '    if (false)\n'),
    ]),
    ('the last word of what was given again counts', '-', [
        ('switch_pass.c',
         '    if (fact->owned[c]->given_again > p->given_again)\n',
         ''),
    ]),
    ('a record is given back of a partition that stays', '-', [
        ('holder.c',
         '    if (p->state != PART_DRAINING || !window_take_back(&p->window, offset))\n',
         '    if (!window_take_back(&p->window, offset))\n'),
    ]),
    ('a record is given back before those behind it', '-', [
        ('window.c',
         '    if (!s || s->offset != offset || s->done)\n        return false;\n    w->tail--;\n',
         '    if (!s || s->offset < offset || s->done)\n        return false;\n    w->tail--;\n'),
    ]),
    ('a record that is given back is passed over', '-', [
        ('window.c',
         '    w->open--;\n    w->position = offset;\n',
         '    w->open--;\n'),
    ]),
    ('what was given again is counted on over a grant', '-', [
        ('holder.c',
         '    if (p->epoch != b->epoch)\n        p->given_again = 0;\n',
         ''),
    ]),
    ('a doubt is waited for under a fence', '-', [
        ('switch_pass.c',
         's->op.on_doubt == DOUBT_WAIT &&\n           s->op.on_unreachable != UNREACHABLE_FENCE;',
         's->op.on_doubt == DOUBT_WAIT;'),
    ]),
    ('a doubt is waited for that is to be listed', '-', [
        ('switch_pass.c',
         '&& s->op.on_doubt == DOUBT_WAIT &&\n           s->op.on_unreachable',
         '&& s->op.on_unreachable'),
    ]),
    ('a doubt that is reached is waited for', '-', [
        ('switch_pass.c',
         'if (b->doubt > o && !list) {',
         'if (b->doubt >= o && !list) {'),
    ]),
    ('a doubt of one record is not listed', '-', [
        ('switch_pass.c',
         'p->doubt = b->doubt > o ? b->doubt : OFFSET_NONE;',
         'p->doubt = b->doubt > o + 1 ? b->doubt : OFFSET_NONE;'),
    ]),
    ('a doubt of who had not begun is waited for', '-', [
        ('switch_pass.c',
         'if (b->doubt > o && !began)',
         'if (false)'),
    ]),
    ('a replay is forgotten', '-', [
        ('switch_pass.c',
         '    p->replay_from = replay_from;\n    p->stage',
         '    p->stage'),
    ]),
    ('a replay is not listed', '-', [
        ('switch_pass.c',
         '        p->repeat_to = o;',
         '        p->repeat_to = from;'),
    ]),
    ('an unproven stage has passed', '-', [
        ('switch_op.c',
         'op->state == OP_PASSING && op->forth[i].ordered && !op->forth[i].taken)',
         'op->state == OP_PASSING && false)'),
    ]),
    ('the proof of a way back is waited for for ever', '-', [
        ('switch_op.c',
         'return proven || now_ms - s->home_ms >= PROOF_MS_MAX;',
         'return proven;'),
    ]),
    ('a lost member always turns back', '-', [
        ('switch_member.c',
         '    if (!(s->op.state == OP_PASSING && m->report->color == s->op.from) &&\n        !(s->op.state == OP_OBSERVING && m->report->color == s->op.to))\n        return;',
         '    if (s->op.state != OP_PASSING && s->op.state != OP_OBSERVING)\n        return;'),
    ]),
    ('who is lost while observed is nobody', '-', [
        ('switch_member.c',
         '&&\n        !(s->op.state == OP_OBSERVING && m->report->color == s->op.to))\n        return;',
         ')\n        return;'),
    ]),
    ('a fence turns back', '-', [
        ('switch_member.c',
         ' || s->op.on_unreachable == UNREACHABLE_FENCE)\n        return;',
         ')\n        return;'),
    ]),
    ('an older owner counts', '-', [
        ('switch_member.c',
         'part->order >= fact->owned[r->color]->order)',
         'part->order <= fact->owned[r->color]->order)'),
    ]),
    ('a grant is taken by an older word', '-', [
        ('switch_pass.c',
         'fact->owned[b->holder] && fact->owned[b->holder]->order == b->order &&\n        fact',
         'fact->owned[b->holder] &&\n        fact'),
    ]),
    ('a grant is ordered before it is taken', '-', [
        ('switch_pass.c',
         'if (a.aim == AIM_PASS && a.back && !kept) { /* never',
         'if (a.aim == AIM_PASS && !kept) { /* never'),
    ]),
    ('two hands are called steady', '-', [
        ('switch_op.c',
         'if (s->fleet->phase == PHASE_STEADY && op_ended(op) && in_two_hands(s->fleet))',
         'if (false)'),
    ]),
    ("the first partition's holder is called active", '-', [
        ('switch_op.c',
         'if (op_ended(op) && s->fleet->baton_count > 0 && !in_two_hands(s->fleet))',
         'if (op_ended(op) && s->fleet->baton_count > 0)'),
    ]),
    ("a member's clock is corrected the wrong way", '-', [
        ('switch_member.c',
         'member_unix_us - (m->skew_low_us + m->skew_high_us) / 2',
         'member_unix_us + (m->skew_low_us + m->skew_high_us) / 2'),
    ]),
    ('the longest way tells the clock', '-', [
        ('switch_member.c',
         'low > m->skew_low_us)',
         'low < m->skew_low_us)'),
    ]),
    ('the last to stop counts in the receipt', '-', [
        ('switch_pass.c',
         '    if (p->drained_unix_us == 0) { /*',
         '    { /*'),
    ]),
    ('who had lost it stands in the receipt', '-', [
        ('switch_pass.c',
         'if (p->released != OFFSET_NONE && p->released != o) {',
         'if (false) {'),
    ]),
    ('the new reign keeps the phase', '-', [
        ('switch_op.c',
         '        s->fleet->phase = phase_at_rest(s->fleet);\n        if (needed',
         '        if (needed'),
    ]),
    ('a record of retention is made up', '-', [
        ('switch_pass.c',
         'if (ev->token != s->starts_token || ev->failed)',
         'if (ev->failed)'),
    ]),
    ('a member beyond the last is overlooked', '-', [
        ('switch_member.c',
         '    return !s->members_overflow;',
         '    return true;'),
    ]),
    ('a cut keeps the commit that is out', '-', [
        ('holder.c',
         '    p->token = 0;\n    p->want &= ~(unsigned)WANT_COMMIT;\n    h->report_due = true;\n    return true;',
         '    h->report_due = true;\n    return true;'),
    ]),
    ('a cut is believed with work in flight', '-', [
        ('holder.c',
         'p->state != PART_ACTIVE || p->window.open > 0)\n        return false;\n    if (offset >=',
         'p->state != PART_ACTIVE)\n        return false;\n    if (offset >='),
    ]),
    ('another fleet of the same name is ours', '-', [
        ('holder.c',
         'h->estranged = h->estranged || (head &&',
         'h->estranged = false && (head &&'),
    ]),
    ('the answer for another question starts a partition', '-', [
        ('holder.c',
         'if (!p->used || p->token != ev->token || p->state != PART_READING)',
         'if (!p->used || p->state != PART_READING)'),
    ]),
    ('a failed reading starts a partition', '-', [
        ('holder.c',
         'else if (ev->failed || (ev->part_failed && ev->part_failed[i]) ||\n                 !start_offset',
         'else if (!start_offset'),
    ]),
    ('a report that was lost is acknowledged by an older one', '-', [
        ('holder.c',
         '        if (ev->sequence != h->report_sequence)\n            break;\n',
         ''),
    ]),
    ('a failed part of a commit counts', '-', [
        ('holder.c',
         'ev->part_failed ? ev->part_failed[i] : ev->failed, ev);',
         'ev->failed, ev);'),
    ]),
    ('topics may change their places', '-', [
        ('fleet.c',
         'if (strcmp(old->spec.topics[i], new->spec.topics[i]) != 0)\n            return false;',
         ''),
    ]),
    ('a removed topic is still the same fleet', '-', [
        ('fleet.c',
         '    if (new->spec.topic_count < old->spec.topic_count)\n        return false;\n',
         ''),
    ]),
    ("a failed version is dropped from another's place", '-', [
        ('fleet.c',
         '    memmove(&f->failed[i], &f->failed[i + 1], (size_t)(f->failed_count - i) * sizeof(f->failed[0]));\n',
         ''),
    ]),
    ('fenced one moment too late', '-', [
        ('holder.c',
         'return now_ms - h->contact_ms >= h->config.session_timeout_ms;',
         'return now_ms - h->contact_ms > h->config.session_timeout_ms;'),
    ]),
    ('a contact is put back by an older answer', '-', [
        ('holder.c',
         'if (!failed && p->asked_ms > h->contact_ms)',
         'if (!failed)'),
    ]),
    ('no commit is ever a contact', '-', [
        ('holder.c',
         '        h->contact_ms = p->asked_ms;\n',
         '        (void)ev;\n'),
    ]),
    ('when a commit was asked is not noted', '-', [
        ('holder.c',
         '    p->asked_ms = now_ms;\n',
         ''),
    ]),
    ('a later loss undoes an earlier one', '-', [
        ('holder.c',
         'h->parts[n].lost || lost; /*',
         'lost; /*'),
    ]),
    ("another color's grant is committed", '-', [
        ('holder.c',
         '(b->holder == h->config.color && b->epoch == p->epoch)',
         'b->epoch == p->epoch'),
    ]),
    ("an older grant's work is committed under the new one", '-', [
        ('holder.c',
         '(b->holder == h->config.color && b->epoch == p->epoch)',
         'b->holder == h->config.color'),
    ]),
    ('work of a deleted fleet is never committed', '-', [
        ('holder.c',
         '!p->lost && (!b || (b->holder',
         '!p->lost && b && ((b->holder'),
    ]),
    ('drained is said before it is', '-', [
        ('holder.c',
         'p->drained_unix_us = p->window.open == 0 ? ev->now_unix_us : 0;',
         'p->drained_unix_us = ev->now_unix_us;'),
    ]),
    ('when the last record was done is not told', '-', [
        ('holder.c',
         '    p->drained_unix_us = p->worked_unix_us;\n    h->report_due = true;\n    return true;',
         '    h->report_due = true;\n    return true;'),
    ]),
    ('a retry comes one moment late', '-', [
        ('holder.c',
         '        } else if (p->token == 0 && p->want == 0 && ev->now_ms >= p->retry_ms) {',
         '        } else if (p->token == 0 && p->want == 0 && ev->now_ms > p->retry_ms) {'),
    ]),
    ('a failed question is asked again at once', '-', [
        ('holder.c',
         '    p->retry_ms = now_ms + h->config.retry_ms;\n}',
         '    p->retry_ms = now_ms;\n}'),
    ]),
    ('an answer for the log end passes every barrier', '-', [
        ('holder.c',
         'p->barrier != BARRIER_LOG_END || p->barrier_token != ev->token',
         '(p->barrier != BARRIER_LOG_END && p->barrier_token != ev->token)'),
    ]),
    ('only the first partition has its log end', '-', [
        ('holder.c',
         'p->barrier_token != ev->token)\n            continue;',
         'p->barrier_token != ev->token)\n            break;'),
    ]),
    ('a revocation is answered before anything is let go', '-', [
        ('holder.c',
         '                part_reconcile(h, &h->parts[i], ev);\n        h->answer_revoke = false;',
         '                (void)0;\n        h->answer_revoke = false;'),
    ]),
    ('a revocation is not told', '-', [
        ('holder.c',
         '        h->answer_revoke = false;\n        h->report_due = true;',
         '        h->answer_revoke = false;'),
    ]),
    ('a sign of life each half session', '-', [
        ('holder.c',
         'h->config.session_timeout_ms / 4;',
         'h->config.session_timeout_ms / 2;'),
    ]),
    ('no sign of life where nothing moves', '-', [
        ('holder.c',
         '(window_low(&p->window) > p->committed || sign_of_life)',
         '(window_low(&p->window) > p->committed)'),
    ]),
    ('what sees nothing is never attached again', '-', [
        ('holder.c',
         'else if (p->first == OFFSET_NONE && ev->now_ms - p->attached_ms >= h->config.watchdog_ms) {',
         'else if (false) {'),
    ]),
    ('what flows is attached again', '-', [
        ('holder.c',
         'else if (p->first == OFFSET_NONE && ev->now_ms - p->attached_ms',
         'else if (ev->now_ms - p->attached_ms'),
    ]),
    ('a first position outlives its take', '-', [
        ('holder.c',
         '    p->first = OFFSET_NONE;\n    p->first_unix_us = 0;\n    part_move(h, p, PART_ACTIVE);',
         '    part_move(h, p, PART_ACTIVE);'),
    ]),
    ('a document is heard when its shard is', '-', [
        ('holder.c',
         '        if (head) {\n            h->heard_written',
         '        if (true) {\n            h->heard_written'),
    ]),
    ('ready before the barrier', '-', [
        ('holder.c',
         'passed = passed && (!p->assigned || p->barrier == BARRIER_PASSED);',
         'passed = passed || p->assigned;'),
    ]),
    ('ready while it closes', '-', [
        ('holder.c',
         'h->joined && !h->closing && h->fleet->exists',
         'h->joined && h->fleet->exists'),
    ]),
    ('a standby follows while it leaves', '-', [
        ('holder.c',
         '|| !h->fleet->exists || h->closing)',
         '|| !h->fleet->exists)'),
    ]),
    ('the load of one window counts for ever', '-', [
        ('switch_member.c',
         '(fact->load + load) / 2',
         'fact->load'),
    ]),
    ('a load is measured in seconds', '-', [
        ('switch_member.c',
         '* 60000 / (double)',
         '* 1000 / (double)'),
    ]),
    ('a position that goes back is a load', '-', [
        ('switch_member.c',
         'if (fact->load_ms && part->position >= fact->load_position) {',
         'if (fact->load_ms) {'),
    ]),
    ('what one entry says hides those behind it', '-', [
        ('switch_member.c',
         '        if (i < 0 || s->fleet->batons[i].holder != r->color || s->fleet->batons[i].doubt >= part->doubt)\n            continue;',
         '        if (i < 0 || s->fleet->batons[i].holder != r->color || s->fleet->batons[i].doubt >= part->doubt)\n            break;'),
    ]),
    ('a time that is none is corrected', '-', [
        ('switch_member.c',
         'if (member_unix_us == 0 || !m->skew_known ||',
         'if (!m->skew_known ||'),
    ]),
    ('a clock that may be ours is corrected', '-', [
        ('switch_member.c',
         ' || (m->skew_low_us <= 0 && m->skew_high_us >= 0))',
         ')'),
    ]),
    ('an operation is created in microseconds', '-', [
        ('switch_order.c',
         'op->created_unix_ms = ev->now_unix_us / 1000;',
         'op->created_unix_ms = ev->now_unix_us;'),
    ]),
    ('how long to observe depends on the deadline', '-', [
        ('switch_order.c',
         ': o->observe_ms >= 0 ? o->observe_ms',
         ': o->deadline_ms >= 0 ? o->observe_ms'),
    ]),
    ('the document does not say until when', '-', [
        ('switch_op.c',
         '    s->fleet->deadline_unix_ms = op->deadline_unix_ms;\n',
         ''),
    ]),
    ('an operation that has ended has a deadline', '-', [
        ('switch_op.c',
         'op->deadline_unix_ms = op_ended(op) ? 0 : now_unix_ms + lasts_ms;',
         'op->deadline_unix_ms = now_unix_ms + lasts_ms;'),
    ]),
    ('a lost member turns a pause back', '-', [
        ('switch_member.c',
         'if (op_ended(&s->op) || !op_between_colors(&s->op) ||',
         'if (op_ended(&s->op) ||'),
    ]),
    ('what a pause has waked is stopped again', '-', [
        ('switch_pass.c',
         'if (a.aim == AIM_PASS && a.back && !kept) { /* never',
         'if (a.back && !kept) { /* never'),
    ]),
    ('a log that begins at 0 is never known', '-', [
        ('switch_pass.c',
         'if (r->failed || r->offset < 0 || r->baton',
         'if (r->failed || r->offset <= 0 || r->baton'),
    ]),
    ('an older word of a release is noted', '-', [
        ('switch_pass.c',
         '            fact->owned[b->holder]->order == b->order && pass_of(s',
         '            pass_of(s'),
    ]),
    ('a passage is not proven on the way back', '-', [
        ('switch_pass.c',
         's->op.state == OP_RETURNING && s->op.back[i].ordered, ev',
         's->op.state == OP_RETURNING, ev'),
    ]),
    ("a lost member's ends are asked for over and over", '-', [
        ('switch_member.c',
         '!m->gone || m->forgotten || m->ends_token)',
         '!m->gone || m->forgotten)'),
    ]),
    ('a birth keeps the operation of the fleet before', '-', [
        ('switch.c',
         '    memset(&s->op, 0, offsetof(struct op, forth));\n',
         ''),
    ]),
    ('a birth keeps the failed versions', '-', [
        ('switch.c',
         '    f->failed_count = 0;\n',
         ''),
    ]),
    ('a birth believes an older reading of the reports', '-', [
        ('switch.c',
         '    s->barrier_asked = s->barrier_read = 0;\n',
         ''),
    ]),
    ('a rollback is observed', '-', [
        ('switch_order.c',
         'op->observe_ms = op->kind != OP_SWITCH ? 0 :',
         'op->observe_ms ='),
    ]),
    ('a rollback is judged', '-', [
        ('switch_order.c',
         'op->judge = op->kind != OP_SWITCH ? JUDGE_OFF :',
         'op->judge ='),
    ]),
    ('a fleet whose members are late is looked at as seldom as ever', '-', [
        ('switch_member.c',
         '(waited ? GROUPS_BUSY_MS : GROUPS_QUIET_MS)',
         'GROUPS_QUIET_MS'),
    ]),
    ('a mark on one shard of passes takes the others along', '-', [
        ('replay.c',
         'op->passes_void = is_void ? op->passes_void | bit(key->shard) :',
         'op->passes_void = is_void ? bit(key->shard) :'),
    ]),
    ('a shard of passes that is void is not healed', '-', [
        ('replay.c',
         'f->ops[i].void_newest || f->ops[i].passes_void;',
         'f->ops[i].void_newest;'),
    ]),
    ('a void shard is not healed', '-', [
        ('replay.c',
         '        heal |= f->shard_void[i];',
         '        (void)0;'),
    ]),
    ('what does not fit is void', '-', [
        ('replay.c',
         'if (ret.fate != REPLAY_FITS_NOT)\n',
         ''),
    ]),
    ('what is stale is the truth of its key', '-', [
        ('replay.c',
         'ret.op, ret.fate != REPLAY_KEPT);',
         'ret.op, ret.fate == REPLAY_VOID);'),
    ]),
    ('a deleted fleet takes its highest epoch along', '-', [
        ('replay.c',
         '        fleet_apply(f->fleet, &gone);\n',
         '        fleet_apply(f->fleet, &gone);\n        f->epoch_highest = 0;\n'),
    ]),
    ('the newest operation is dropped for room', '-', [
        ('replay.c',
         '*ret_dropped = op_remove(f, &f->ops[0]);',
         '*ret_dropped = op_remove(f, &f->ops[f->op_count - 1]);'),
    ]),
    ('operations stand as they came', '-', [
        ('replay.c',
         'at > 0 && f->ops[at - 1].number > number;',
         'false;'),
    ]),
    ('an operation without a record is the newest', '-', [
        ('replay.c',
         '        if (f->ops[i].known)\n            return &f->ops[i];',
         '        return &f->ops[i];'),
    ]),
    ('a foreign tombstone is not healed', '-', [
        ('replay.c',
         ' || (fate == REPLAY_GONE && gone_is_foreign(s, &r->key))',
         ''),
    ]),
    ('the tombstone of an old operation is healed for ever', '-', [
        ('replay.c',
         'return s->op.number && key->number == s->op.number;',
         'return s->op.number;'),
    ]),
    ('the head comes before its shards', '-', [
        ('replay.c',
         '    for (int i = 0; good && shards && i * SHARD_BATONS',
         '    if (good && dirty->head) {\n        good = put_one(put, opaque, REPLAY_HEAD, 0, -1, REPLAY_PRESENT);\n        dirty->head = false;\n    }\n    for (int i = 0; good && shards && i * SHARD_BATONS'),
    ]),
    ('a fleet that outgrows its head leaves the old batons there', '-', [
        ('replay.c',
         'if (shards && !pen->sharded) /*',
         'if (false) /*'),
    ]),
    ('what is dirty stays dirty', '-', [
        ('replay.c',
         '    memset(dirty, 0, sizeof(*dirty));\n',
         ''),
    ]),
    ('healing never ends', '-', [
        ('replay.c',
         '    pen->heal = false;\n    if (shards',
         '    if (shards'),
    ]),
    ('an operation of the history is healed by a tombstone', '-', [
        ('replay.c',
         'REPLAY_OP, op->number, -1, op->known ? REPLAY_AGAIN : REPLAY_NOTHING);',
         'REPLAY_OP, op->number, -1, REPLAY_NOTHING);'),
    ]),
    ('passes of a deposed leader stay', '-', [
        ('replay.c',
         '(op->passes_void & bit(i)) && i * SHARD_BATONS >= pass_count)',
         'false)'),
    ]),
    ('only one old operation is dropped', '-', [
        ('replay.c',
         'f->ops[i].number <= number && f->ops[i].number < newest->number',
         'f->ops[i].number == number'),
    ]),
    ('passes outlive their operation', '-', [
        ('replay.c',
         'if ((op->passes_known | op->passes_void) & bit(i))',
         'if (op->passes_known & bit(i))'),
    ]),
    ('the head of a deleted fleet goes first', '-', [
        ('replay.c',
         '    bool good = true;\n\n    for (int i = 0; i < f->op_count && good; i++)\n        if (f->ops[i].number == present.number)',
         '    bool good = put_one(put, opaque, REPLAY_HEAD, 0, -1, REPLAY_NOTHING);\n\n    for (int i = 0; i < f->op_count && good; i++)\n        if (f->ops[i].number == present.number)'),
    ]),
    ('what was not read back is not deleted', '-', [
        ('replay.c',
         '        present.passes_known |= bit(i);',
         '        (void)0;'),
    ]),
    ('what is left of a deleted fleet stays', '-', [
        ('replay.c',
         '    for (int i = 0; i < f->op_count && good; i++) /* what is left',
         '    for (int i = 0; i < 0 && good; i++) /* what is left'),
    ]),
    ('a claim that is told again ends a reign', '-', [
        ('terms.c',
         'if (offset > t->highest)',
         'if (true)'),
    ]),
    ('a fleet as large as there is room does not fit', '-', [
        ('fleet.c',
         'doc->kind == DOC_HEAD ? new->baton_count > f->baton_max',
         'doc->kind == DOC_HEAD ? new->baton_count >= f->baton_max'),
    ]),
    ('who was never taken stood still for nothing', '-', [
        ('op.c',
         'return p->taken ? span(p->drained_unix_us, p->first_unix_us ? p->first_unix_us : p->attached_unix_us) : -1;',
         'return p->taken ? span(p->drained_unix_us, p->first_unix_us ? p->first_unix_us : p->attached_unix_us) : 0;'),
    ]),
    ('how long to observe is compared with the deadline', '-', [
        ('plan.c',
         'in->op->observe_ms <= p->warmup_ms + 2 * p->interval_ms)',
         'in->op->deadline_ms <= p->warmup_ms + 2 * p->interval_ms)'),
    ]),
    ('a deadline is advised in milliseconds', '-', [
        ('plan.c',
         'spec_gone_after_ms(&f->spec) / 1000 + 30));',
         'spec_gone_after_ms(&f->spec) + 30));'),
    ]),
    ('the last partition in danger is called the first', '-', [
        ('plan.c',
         'first_near = first_near < 0 ? i : first_near;',
         'first_near = i;'),
    ]),
    ('who is passed already hides what is not', '-', [
        ('plan.c',
         '        if (b->holder == in->op->to)\n            continue;\n        if (v->log_start',
         '        if (b->holder == in->op->to)\n            break;\n        if (v->log_start'),
    ]),
    ('the first partition needs nobody', '-', [
        ('plan.c',
         '    for (int i = 0; i < f->baton_count; i++) {\n        bool covered',
         '    for (int i = 1; i < f->baton_count; i++) {\n        bool covered'),
    ]),
    ('the first name may be of any topic', '-', [
        ('stage.c',
         '    for (int i = 0; i < s->name_count; i++)\n        if (s->names[i].topic >= spec->topic_count)',
         '    for (int i = 1; i < s->name_count; i++)\n        if (s->names[i].topic >= spec->topic_count)'),
    ]),
    ('a foreign commit is believed', '4', [
        ('switch_pass.c',
         'if (o == OFFSET_NONE || (owned && owned->local == LOCAL_RELEASED && owned->committed != o)) {',
         'if (o == OFFSET_NONE) {'),
    ]),
    ('what an order waited for keeps the next one waiting', '-', [
        ('switch_word.c',
         '    fact->retry_ms = 0;\n',
         ''),
    ]),
    ('who is forgotten is said again', '-', [
        ('switch_member.c',
         '    if (m && !m->forgotten && !m->report->goodbye) {',
         '    if (m && !m->report->goodbye) {'),
    ]),
    ('who has said goodbye is looked for', '-', [
        ('switch_member.c',
         '        if (!m->used || m->gone || m->report->goodbye ||',
         '        if (!m->used || m->gone ||'),
    ]),
    ('granted is as good as held', '-', [
        ('switch_op.c',
         '        if (f->batons[i].state != RIGHT_HELD)\n            return false;\n    return f->baton_count > 0',
         '        if (f->batons[i].state == RIGHT_PAUSED)\n            return false;\n    return f->baton_count > 0'),
    ]),
    ('a pause is called a pass', '-', [
        ('switch_op.c',
         '[OP_PAUSE] = { PHASE_PAUSING, PHASE_PAUSED, PHASE_RETURNING,',
         '[OP_PAUSE] = { PHASE_PASSING, PHASE_PAUSED, PHASE_RETURNING,'),
    ]),
    ('a way back is called a pass', '-', [
        ('switch_op.c',
         '[OP_SWITCH] = { PHASE_PASSING, PHASE_OBSERVING, PHASE_RETURNING,',
         '[OP_SWITCH] = { PHASE_PASSING, PHASE_OBSERVING, PHASE_PASSING,'),
    ]),
    ('the first reason is lost', '-', [
        ('switch_op.c',
         '             s->op.why[0] ? "; then " : "", why);',
         '             "", why);'),
    ]),
    ('a way back moves what others had passed', '-', [
        ('switch_op.c',
         'a.back ? b->epoch >= op->epoch_first : op->forth',
         'a.back ? true : op->forth'),
    ]),
    ('a standby says where it was released', '-', [
        ('switch_pass.c',
         '    if (fact->owned[c]->local == LOCAL_RELEASED)\n        p->released',
         '    p->released'),
    ]),
    ('a foreign commit turns a way back round', '-', [
        ('switch_pass.c',
         '        if (s->op.state == OP_RETURNING) {\n            s->facts[i].retry_ms = ev->now_ms + RETRY_MS;',
         '        if (false) {\n            s->facts[i].retry_ms = ev->now_ms + RETRY_MS;'),
    ]),
    ('a foreign commit is read without a pause', '-', [
        ('switch_pass.c',
         '            s->facts[i].retry_ms = ev->now_ms + RETRY_MS; /* until',
         '            s->facts[i].retry_ms = 0; /* until'),
    ]),
    ('a replay begins beyond what was done', '-', [
        ('switch_pass.c',
         'p->replay_from != OFFSET_NONE && p->replay_from < o',
         'p->replay_from != OFFSET_NONE'),
    ]),
    ('what a former reign ordered was not ordered', '-', [
        ('switch_pass.c',
         '    p->ordered = true; /* perhaps by',
         '    p->ordered = p->ordered; /* perhaps by'),
    ]),
    ('what an order taken back noted stays', '-', [
        ('switch_pass.c',
         '        pass_begin(pass_of(s, i, a.back), b);\n        break;\n    case RIGHT_GRANTED',
         '        break;\n    case RIGHT_GRANTED'),
    ]),
    ('an order on the way back is not noted', '-', [
        ('switch_pass.c',
         '            pass_begin(pass_of(s, i, true), b);\n',
         ''),
    ]),
    ('an older release is of this grant', '-', [
        ('switch_pass.c',
         '        if (before && before->committed == b->from)',
         '        if (before)'),
    ]),
    ('the first record came when it was attached', '-', [
        ('switch_pass.c',
         '    p->first_unix_us = member_time(m, part->first_unix_us);',
         '    p->first_unix_us = member_time(m, part->attached_unix_us);'),
    ]),
    ("one time in a receipt is by the member's clock", '-', [
        ('switch_pass.c',
         '    p->attached_unix_us = member_time(m, part->attached_unix_us);\n',
         '    p->attached_unix_us = part->attached_unix_us;\n'),
    ]),
    ('a way back pardons a failed version', '-', [
        ('switch_op.c',
         '    if (s->op.kind == OP_SWITCH)\n        fleet_failed_drop',
         '        fleet_failed_drop'),
    ]),
    ('a single partition of a lost member is not read', '-', [
        ('switch_member.c',
         '        n = member_works(s, m->report, NULL);\n        if (n == 0) {',
         '        n = member_works(s, m->report, NULL);\n        if (n <= 1) {'),
    ]),
    ('one list of questions overwrites another', '-', [
        ('switch_member.c',
         '        member_works(s, m->report, &fx->batons[fx->baton_count]);\n',
         '        member_works(s, m->report, &fx->batons[0]);\n'),
    ]),
    ('a list of questions is not closed', '-', [
        ('switch_member.c',
         '        fx->baton_count += n;\n',
         ''),
    ]),
    ("the answer for one lost member is another's", '-', [
        ('switch_member.c',
         '        if (!m->used || !m->gone || m->ends_token != ev->token)',
         '        if (!m->used || !m->gone)'),
    ]),
    ('one end that could not be read counts', '-', [
        ('switch_member.c',
         '            if (ev->failed || ev->readings[i].failed)\n                return; /* asked',
         '            if (ev->failed)\n                return; /* asked'),
    ]),
    ('log starts are read for nothing', '-', [
        ('switch_pass.c',
         'return p->taken && p->log_start == OFFSET_NONE && p->first > p->from;',
         'return p->taken && p->log_start == OFFSET_NONE && p->first >= p->from;'),
    ]),
    ('retention on the way back is not asked for', '-', [
        ('switch_pass.c',
         '!start_wanted(&s->op.forth[i]) && !start_wanted(&s->op.back[i])',
         '!start_wanted(&s->op.forth[i])'),
    ]),
    ('what retention took is not written', '-', [
        ('switch_pass.c',
         '            s->dirty.passes[r->baton / SHARD_BATONS] = true;\n        }',
         '        }'),
    ]),
    ('a number is used twice', '-', [
        ('switch_order.c',
         '    op->number = s->fleet->switch_number + 1;',
         '    op->number = s->op.number + 1;'),
    ]),
    ('who ordered is forgotten', '-', [
        ('switch_order.c',
         '    snprintf(op->by, sizeof(op->by), "%s", o->by);\n',
         ''),
    ]),
    ('a hold while it passes stops the clock', '-', [
        ('switch_order.c',
         '        if (op->state == OP_OBSERVING)\n            op_hold',
         '        if (true)\n            op_hold'),
    ]),
    ('a hold is written over and over', '-', [
        ('switch_op.c',
         '    if (s->op.held)\n        return;\n',
         ''),
    ]),
    ('who is born in mid-switch is not of the receipt', '-', [
        ('switch.c',
         '        if (s->op.pass_count > 0)\n            s->op.pass_count = s->fleet->baton_count;\n',
         ''),
    ]),
    ('an edited fleet file is not written', '-', [
        ('switch.c',
         '    word_touch(s, ev->now_unix_us);\n    s->fleet->spec = *ev->spec;',
         '    s->fleet->spec = *ev->spec;'),
    ]),
    ('a reign keeps the epoch of the one before', '-', [
        ('switch.c',
         '    s->fleet->version.term = term;\n    word_touch(s, now_unix_us);',
         '    s->fleet->version.term = term;\n    s->dirty.head = true;\n    s->fleet->applied = s->fleet->version;'),
    ]),
    ('what was lost goes on where it stopped', '-', [
        ('holder.c',
         'may_begin && !p->lost && word == WORD_PROCESS',
         'may_begin && word == WORD_PROCESS'),
    ]),
    ('an election has the number of the one before', '-', [
        ('claim.c',
         '        c->number++;\n',
         ''),
    ]),
    ('a claim in the way of a reading is not seen', '-', [
        ('claim.c',
         'if (ev->highest > c->term)',
         'if (c->state == CLAIM_LEADING && ev->highest > c->term)'),
    ]),
    ('what has failed is elected again at once', '-', [
        ('claim.c',
         'return leave(c, CLAIM_RESTING, NULL, ev->now_ms);',
         'return leave(c, CLAIM_NONE, NULL, ev->now_ms);'),
    ]),
    ('the reports may take for ever', '-', [
        ('claim.c',
         'c->state >= CLAIM_CATCH_UP && c->state <= CLAIM_REPORTS;',
         'c->state >= CLAIM_CATCH_UP && c->state <= CLAIM_READ;'),
    ]),
    ('a guess is taken for any topic', '-', [
        ('fleet.c',
         'f->batons[guess].topic == topic && f->batons[guess].partition == partition)',
         'f->batons[guess].partition == partition)'),
    ]),
    ('a shard beyond the room fits', '-', [
        ('fleet.c',
         'first + new->baton_count > f->baton_max)',
         'new->baton_count > f->baton_max)'),
    ]),
    ('a whole document is not acknowledged', '-', [
        ('fleet.c',
         '        f->applied = doc->version;\n',
         ''),
    ]),
    ('a head says more than has come', '-', [
        ('fleet.c',
         '        if (new->baton_count < f->baton_count)\n            f->baton_count = new->baton_count;',
         '        f->baton_count = new->baton_count;'),
    ]),
    ('what has not come is partition 0', '-', [
        ('fleet.c',
         'i < first; i++)\n        f->batons[i] = (struct baton){ .partition = -1 };',
         'i < first; i++)\n        f->batons[i] = (struct baton){ .partition = 0 };'),
    ]),
    ('a smaller document leaves what was beyond', '-', [
        ('fleet.c',
         'if (doc->kind == DOC_WHOLE || first + new->baton_count > f->baton_count)',
         'if (first + new->baton_count > f->baton_count)'),
    ]),
    ('what was never ordered is summed up', '-', [
        ('op.c',
         'if (!p->ordered || p->grant == 0)\n            continue;',
         'if (p->grant == 0)\n            continue;'),
    ]),
    ('the way back is not summed up', '-', [
        ('op.c',
         '    sum_passes(ret, op->back, op->pass_count, scratch);\n',
         ''),
    ]),
    ('standstills are ranked as they came', '-', [
        ('op.c',
         '    qsort(scratch, (size_t)ret->standstill_known, sizeof(*scratch), compare_int64);\n',
         ''),
    ]),
    ('99 of 100 are 90', '-', [
        ('op.c',
         'percentile(scratch, ret->standstill_known, 99);',
         'percentile(scratch, ret->standstill_known, 90);'),
    ]),
    ('what was begun too early is no gap', '-', [
        ('op.c',
         'if (p->repeat_to == OFFSET_NONE && p->from != p->committed)',
         'if (p->repeat_to == OFFSET_NONE && p->from > p->committed)'),
    ]),
    ('a search goes on beyond the end', '-', [
        ('window.c',
         '            count -= half + 1;',
         '            count -= half;'),
    ]),
    ('a deposed leader buries the operation that counts', '1, 15', [
        ('replay.c',
         'f->ops[i].number <= number && f->ops[i].number < newest->number',
         'i < f->op_count && f->ops[i].number <= number'),
    ]),
    ('a member of any fleet speaks for its color', 'unit', [
        ('switch_member.c',
         's->fleet->spec.strategy != STRATEGY_FOREIGN || r->goodbye',
         'r->goodbye'),
    ]),
    ('an agent that says goodbye speaks', 'unit', [
        ('switch_member.c',
         ' || r->goodbye || strcmp(speaker',
         ' || strcmp(speaker'),
    ]),
    ('who is no agent speaks', 'unit', [
        ('switch_member.c',
         'if (strcmp(incarnation, r->incarnation) != 0)',
         'if (false)'),
    ]),
    ('which agent speaks is not written', 'unit', [
        ('switch_member.c',
         '"%s", r->client_id);\n    word_touch(s, now_unix_us);',
         '"%s", r->client_id);'),
    ]),
    ('which agent speaks is written over and over', 'unit', [
        ('switch_member.c',
         ' || strcmp(speaker, r->client_id) == 0)',
         ')'),
    ]),
    ('a second agent is not told of', 'unit', [
        ('switch_member.c',
         '        report_void(m->report, new, ev->now_ms);\n',
         ''),
    ]),
    ('a second agent is forgotten with the next report', 'unit', [
        ('switch_member.c',
         '    else\n        report_succeed(new, m->report, ev->now_ms);\n',
         ''),
    ]),
    ('one empty listing is enough', 'unit', [
        ('whole.c',
         '#define EMPTY_LISTINGS 2',
         '#define EMPTY_LISTINGS 1'),
    ]),
    ('members of its group make it not busy', 'unit', [
        ('whole.c',
         '        w->busy = true;\n        w->empty_count = 0;\n        return false;',
         '        w->empty_count = 0;\n        return false;'),
    ]),
    ('released where it was reckoned to stand', 'unit', [
        ('whole.c',
         '    window_reset(&p->window, s->committed); /* it has been at work since */\n    return answer(w, part, HOLDER_COMMITTED, true, ev, at);',
         '    return false;'),
    ]),
    ('set while it may be at work', 'unit', [
        ('whole.c',
         'if (w->busy || whole_holds(w) || s->waits',
         'if (whole_holds(w) || s->waits'),
    ]),
    ('set while it may go on', 'unit', [
        ('whole.c',
         'if (w->busy || whole_holds(w) || s->waits',
         'if (w->busy || s->waits'),
    ]),
    ('set as it was reckoned while it ran', 'unit', [
        ('whole.c',
         'return s->read_epoch != w->holder->parts[part].epoch || s->read_proof == w->proof;',
         'return true;'),
    ]),
    ('a former life says where it stands', 'unit', [
        ('whole.c',
         '||\n        !(mark.kind == MARK_FOREIGN || (mark.kind == MARK_EPOCH && mark.epoch == p->epoch)))',
         ')'),
    ]),
    ('a stop that outlasts a session is clean', 'unit', [
        ('whole.c',
         'if (listing->asked_ms - w->want_ms > CLEAN_MS)',
         'if (false)'),
    ]),
    ('run under a mere grant', 'unit', [
        ('whole.c',
         'f->batons[i].holder != w->holder->config.color ||\n            f->batons[i].state != RIGHT_HELD)',
         'f->batons[i].holder != w->holder->config.color)'),
    ]),
    ('an agent that comes up has lost nothing', 'unit', [
        ('whole.c',
         '.want_ms = now_ms, .loss_ms = now_ms',
         '.want_ms = now_ms, .loss_ms = 0'),
    ]),
    ('ends read before the loss bound it', 'unit', [
        ('whole.c',
         'w->loss_ms != 0 && asked_ms > w->loss_ms;',
         'w->loss_ms != 0;'),
    ]),
    ('still before the loss is bounded', 'unit', [
        ('whole.c',
         'w->read_proof == w->proof && w->loss_ms == 0;',
         'w->read_proof == w->proof;'),
    ]),
    ('what is granted and not begun can have run', 'unit', [
        ('fleet.c',
         '(f->batons[i].holder != b->holder || !f->batons[i].taken))',
         'f->batons[i].holder != b->holder)'),
    ]),
    ('what was whole before cannot have run', 'unit', [
        ('fleet.c',
         'if (f->batons[i].epoch <= b->epoch && (',
         'if ((true) && ('),
    ]),
    ('read before it was set', 'unit', [
        ('whole.c',
         '        if (asked_ms <= s->set_ms)\n            continue;\n',
         ''),
    ]),
    ('words of the agent before are over at once', 'unit', [
        ('whole.c',
         '#define BIRTH_MS 2000',
         '#define BIRTH_MS 0'),
    ]),
    ('nobody shows that it works', 'unit', [
        ('whole.c',
         '    show_first(w, part, now_ms, now_unix_us);\n',
         ''),
    ]),
]


# Of a fleet whose applications nobody has changed: tests/sim/whole.c judges.
WHOLE = [
    ('listed as empty before the last word to start', '4', [
        ('whole.c',
         'listing->asked_ms <= w->started_ms || ',
         ''),
    ]),
    ('an agent takes its application for stopped at first', '4', [
        ('whole.c',
         '.busy = true, .started_ms',
         '.busy = false, .started_ms'),
    ]),
    ('a word to start makes nobody busy', '4', [
        ('whole.c',
         '    w->busy = true;\n    w->empty_count = 0;\n    w->started_ms',
         '    w->empty_count = 0;\n    w->started_ms'),
    ]),
    ('what may be at work is reported as idle', '4', [
        ('whole.c',
         'i < ret->part_count && w->busy; i++)',
         'i < ret->part_count && false; i++)'),
    ]),
    ('read before it was proved to stand still', '4', [
        ('whole.c',
         'w->read_proof = proof != 0 && proof == whole_proof(w) ? proof : 0;',
         'w->read_proof = w->proof;'),
    ]),
    ('a loss is forgotten', '10', [
        ('whole.c',
         '            p->doubt = s->end;\n',
         '            continue;\n'),
    ]),
    ('what a doubt keeps is ordered and taken back', '10', [
        ('switch_pass.c',
         'a.back && !kept) { /* never',
         'a.back) { /* never'),
    ]),
    ('a death counts where nothing can have run', '10', [
        ('fleet.c',
         '(f->batons[i].holder != b->holder || !f->batons[i].taken))',
         'false)'),
    ]),
]


def run(command, **more):
    return subprocess.run(command, capture_output=True, text=True, **more)


def compile_one(cc, flags, source, out):
    made = run([cc, *flags, '-c', str(source), '-o', str(out)])
    return None if made.returncode == 0 else made.stderr.splitlines()[0]


def compile_all(cc, flags, folder, more):
    """Every source of the core, of base and of `more`: {name: object}; the core's have no folder in their names."""
    folder.mkdir()
    sources = sorted((ROOT / 'src/core').glob('*.c')) + sorted((ROOT / 'src/base').glob('*.c')) + more
    objects = {s.name if s.parent.name == 'core' else f'{s.parent.name}/{s.name}': folder / f'{s.parent.name}-{s.stem}.o' for s in sources}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for source, fault in zip(sources, pool.map(lambda s: compile_one(cc, flags, s, folder / f'{s.parent.name}-{s.stem}.o'), sources)):
            if fault:
                sys.exit(f'{source}: {fault}')
    return objects


def put_in(args, flags, folder, objects, mutant):
    """The objects with the mutant's in place of their own, and where they are; or why that cannot be."""
    name, _, edits = mutant
    place = folder / re.sub(r'\W+', '-', name)
    place.mkdir()
    texts = {}
    for file, old, new in edits:
        text = texts.get(file) or (ROOT / 'src/core' / file).read_text()
        if old not in text:
            return None, 'the replacement does not fit any more'
        texts[file] = text.replace(old, new, 1)
    linked = [str(o) for n, o in objects.items() if n not in texts]
    for file, text in texts.items():
        (place / file).write_text(text)
        fault = compile_one(args.cc, flags, place / file, place / (file + '.o'))
        if fault:
            return None, 'it does not compile: ' + fault
        linked.append(str(place / (file + '.o')))
    return linked, place


def link(args, objects, out, *libraries):
    made = run([args.cc, *objects, '-o', str(out), *libraries, '-lpthread', '-lm'])
    return made.stderr.splitlines()[-1] if made.returncode else None


def judge_by_tests(args, folder, objects, mutant):
    """The first unit test that fails."""
    name = mutant[0]
    linked, place = put_in(args, UNIT_FLAGS, folder, objects, mutant)
    if linked is None:
        return name, 'unit', None, place
    tests = [o for o in linked if 'unit-test_' in o]
    for test in tests:
        program = place / pathlib.Path(test).stem # unit-test_switch_op
        fault = link(args, [o for o in linked if o == test or o not in tests], program, '-lcmocka')
        if fault:
            return name, 'unit', None, f'it does not link: {fault}'
        try:
            ran = run([str(program)], timeout=120)
        except subprocess.TimeoutExpired:
            return name, 'unit', 0, f'unit test in {program.name[5:]}: it hangs'
        failed = re.search(r'\[  FAILED  \] (\w+)', ran.stdout + ran.stderr)
        if ran.returncode:
            return name, 'unit', 0, f'unit test in {program.name[5:]}: {failed[1] if failed else f"ended by itself, {ran.returncode}"}'
    return name, 'unit', None, 'SURVIVED'


def judge(args, folder, objects, mutant):
    name, rule, _ = mutant
    linked, place = put_in(args, FLAGS, folder, objects, mutant)
    if linked is None:
        return name, rule, None, place
    fault = link(args, linked, place / 'sim')
    if fault:
        return name, rule, None, f'it does not link: {fault}'
    ran = run([str(place / 'sim'), '--worlds', str(args.worlds), '--seed', str(args.seed), '--no-shrink'])
    said = re.search(r'BROKEN: .*--world (\S+) .*\n  (.*)', ran.stdout)
    worlds = re.search(r'"worlds":(\d+)', ran.stdout)
    if ran.returncode < 0:
        return name, rule, 1, f'a crash in the first worlds: signal {-ran.returncode}'
    if ran.returncode == 0 or not (said and worlds):
        return name, rule, None, 'SURVIVED' if ran.returncode == 0 else f'ended by itself, exit {ran.returncode}'
    fact = said.group(2)
    number = re.search(r'"(I\d)', fact)
    by = number.group(1) if number else re.sub(r'.*&& "([^"]*)".*', r'\1', fact)
    return name, rule, int(worlds.group(1)), f'{by} in {said.group(1)}: {fact[:90]}'


def judge_by_whole(args, folder, objects, mutant):
    """The first world of foreign fleets that breaks."""
    name, rule, _ = mutant
    linked, place = put_in(args, WHOLE_FLAGS, folder, objects, mutant)
    if linked is None:
        return name, rule, None, place
    fault = link(args, linked, place / 'whole')
    if fault:
        return name, rule, None, f'it does not link: {fault}'
    ran = run([str(place / 'whole'), '--worlds', str(WHOLE_WORLDS_MAX)])
    said = re.search(r'world (\d+) breaks at .*', ran.stdout)
    if ran.returncode < 0:
        asserted = re.search(r'\w+\.c:\d+.*', ran.stderr)
        return name, rule, 1, f'an assertion: {asserted[0][:90] if asserted else -ran.returncode}'
    return (name, rule, int(said[1]), said[0]) if said else (name, rule, None, 'SURVIVED')


# Which judge a list is for, what that is built of, and with which flags.
JUDGES = [
    (MUTANTS, judge, FLAGS, sorted(s for s in (ROOT / 'tests/sim').glob('*.c') if s.name != 'whole.c')),
    (WHOLE, judge_by_whole, WHOLE_FLAGS, [ROOT / 'tests/sim/whole.c']),
    (POLICY, judge_by_tests, UNIT_FLAGS, [ROOT / f'tests/unit/{t}.c' for t in UNIT_TESTS + UNIT_WORLDS]),
]


def main():
    parser = argparse.ArgumentParser(description='puts bugs into the core; the simulation, or a unit test, has to find each')
    parser.add_argument('--cc', default=os.environ.get('CC', 'cc'))
    parser.add_argument('--worlds', type=int, default=100000, help='a mutant that outlives so many has survived')
    parser.add_argument('--seed', type=int, default=1)
    parser.add_argument('--jobs', type=int, default=os.cpu_count())
    parser.add_argument('names', nargs='*')
    args = parser.parse_args()
    known = [m[0] for mutants, *_ in JUDGES for m in mutants]
    unknown = set(args.names) - set(known)
    if unknown:
        sys.exit(f'no such mutant: {", ".join(sorted(unknown))}')
    began, results, work = time.time(), [], []
    with tempfile.TemporaryDirectory() as temp:
        folder = pathlib.Path(temp)
        for number, (mutants, by, flags, sources) in enumerate(JUDGES):
            chosen = [m for m in mutants if not args.names or m[0] in args.names]
            objects = compile_all(args.cc, flags, folder / f'of-{number}', sources) if chosen else None
            work += [(by, objects, m) for m in chosen]
        with concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
            for result in pool.map(lambda w: w[0](args, folder, w[1], w[2]), work):
                results.append(result)
                name, rule, worlds, by = result
                print(f'{name:48} rule {rule:4} {worlds or "":>7} {by}', flush=True)
    caught = [r for r in results if r[2] is not None]
    alone = {}
    for r in caught:
        alone.setdefault(r[3].split(' in ')[0], []).append(r[0])
    print(f'{len(caught)} passed, {len(results) - len(caught)} failed')
    print(json.dumps({'sim_mutants': {
        'mutants': len(results), 'caught': len(caught), 'survived': [r[0] for r in results if r[2] is None],
        'by_unit_tests': sum(r[2] == 0 for r in caught),
        'worlds_median': statistics.median([r[2] for r in caught if r[2]] or [0]), 'worlds_max': max([r[2] for r in caught], default=None), 'seconds': round(time.time() - began, 1), 'caught_by': alone}}))
    return len(caught) != len(results)


if __name__ == '__main__':
    sys.exit(main())
