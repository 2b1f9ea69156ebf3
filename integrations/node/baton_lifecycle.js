/*
 * baton_lifecycle - a consumer of @confluentinc/kafka-javascript that `baton agent` can hold and release (docs/lifecycle.md).
 *
 *     const { Consumer } = require('./baton_lifecycle');
 *
 *     const consumer = new Consumer({ 'bootstrap.servers': 'kafka:9092', 'group.id': 'payments-blue' }, ['orders'], { port: 8081 });
 *     for await (const message of consumer) {   // ends when the agent says `leave`, or after consumer.close()
 *         await work(message);
 *         consumer.done(message);               // in any order
 *     }
 *
 * Beside it: baton agent payments --color blue --application http://127.0.0.1:8081 --bootstrap kafka:9092
 *
 * One loop calls the Kafka client, one call at a time: act() commits, attaches and detaches, then consume() brings what waits; so what it
 * brings belongs to the partitions that were attached when it began. Messages wait in `fetched` and pass the gate, take(), one by one. Partitions
 * are *detached* while they are held: librdkafka is given only those that run, at the very offset, so there is no pause to lose
 * and nothing is fetched in vain.
 *
 * The client does not tell Kafka's name of its member. So its `client.id` is made the only one of its kind, and the agent
 * asks the brokers for the member with that one. (Not this class: 1.10's describeGroups() ends the process with SIGSEGV when the answer is an error of
 * the group's coordinator, as in the moment after a broker has gone.)
 */
'use strict';

const crypto = require('node:crypto');
const http = require('node:http');
const { KafkaConsumer, CODES } = require('@confluentinc/kafka-javascript');

const CONSUME_MS = 20; // between two looks at what is desired ...
const CONSUME_SOON_MS = 2; // ... and so soon after it was told, since one word of a hand-over follows the other
const SOON_MS = 100;
const TURN_MS_MAX = 20; // the answer to a PUT waits for what becomes of it
const FETCHED_MAX = 200; // messages that wait
const COMMITTED_MS = 2000; // for Kafka to say what is committed
const RETRY_MS = 100; // after a commit that Kafka did not accept
const REVOKE_MS = 3000; // for what is in flight of partitions that are taken away
const BODY_MAX = 4 * 1024 * 1024;
const HOLD = { state: 'hold' };
const UNTOLD = { revision: 0, commit_every_ms: 1000, fence_ms: 45000, leave: false, told: new Map() };

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const nameOf = (p) => `${p.topic}/${p.partition}`;
const keyOf = (p) => `${nameOf(p)}/${p.assignment}`;

/** One assignment of one partition. */
class Partition {
    constructor(topic, partition, assignment) {
        Object.assign(this, { topic, partition, assignment });
        this.assigned = true;
        this.attached = this.ready = this.leaving = false; // leaving: Kafka is taking it away
        this.ran = false; // since it was made ready
        this.turn = 0; // counts the times it was attached: what was fetched in an earlier one is void
        this.epoch = 0;
        this.metadata = '';
        this.first = this.position = this.committed = this.committedAt = null;
        this.retryAt = 0;
        this.inFlight = new Set(); // offsets
    }

    /** The offset below which all is finished. */
    low() {
        let low = this.position;
        for (const offset of this.inFlight) low = Math.min(low, offset);
        return low;
    }

    quiet() {
        return this.inFlight.size === 0 && this.committed === this.position;
    }

    state() {
        if (this.attached) return 'running';
        if (!this.quiet()) return 'draining';
        return this.ready ? 'ready' : 'held';
    }

    show(now) {
        const { topic, partition, assignment, assigned, epoch, first, position, committed } = this;
        return { topic, partition, assignment, assigned, state: this.state(), epoch, first, position, committed,
            committed_ago_ms: this.committedAt === null ? null : Math.floor(now - this.committedAt), in_flight: this.inFlight.size };
    }
}

/** Iterate over it; done() each message; close() at the end. */
class Consumer {
    constructor(config, topics, { port, host = '127.0.0.1', token = null, path = '/baton/v1/lifecycle' }) {
        this.instance = crypto.randomBytes(8).toString('hex');
        this.group = config['group.id'];
        this.clientId = config['client.id'] ?? '';
        this.assignor = config['group.protocol'] === 'consumer' ? 'consumer' : 'cooperative-sticky';
        this.topics = topics;
        this.desired = null; // the newest PUT that was accepted
        this.revision = 0; // that was acted upon
        this.partitions = new Map(); // keyOf -> Partition
        this.running = new Map(); // nameOf -> Partition
        this.inFlight = new Map(); // message -> Partition
        this.fetched = []; // { message, partition, turn }
        this.assignment = 0;
        this.joined = this.left = this.closing = false;
        this.finished = 0;
        this.failed = null;
        this.waiting = []; // for a message
        this.toldAt = -Infinity;
        this.turning = []; // answers that wait for a turn
        this.committing = this.rebalancing = Promise.resolve();
        const ours = { 'enable.auto.commit': false, 'enable.auto.offset.store': false,
            'auto.offset.reset': 'error', // a gap is never jumped over in silence
            'client.id': this.clientId ? `${this.clientId}-${this.instance}` : this.instance,
            rebalance_cb: (error, partitions) => { this.onRebalance(error, partitions); } };
        if (this.assignor !== 'consumer') ours['partition.assignment.strategy'] = this.assignor;
        this.kafka = new KafkaConsumer({ 'fetch.wait.max.ms': 50, ...config, ...ours });
        this.kafka.setDefaultIsTimeoutOnlyForFirstMessage(true);
        this.server = serve(this, { port, host, token, path });
        this.over = this.run().catch((error) => { this.failed = error; }).then(() => this.wake());
    }

    // --- the user's side -------------------------------------------------------------------------------------------

    async* [Symbol.asyncIterator]() {
        for (let message; (message = await this.next()) !== null;) yield message;
    }

    /** The next message; null once the consumer has left its group. */
    async next() {
        for (;;) {
            const message = this.take();
            if (message || this.left) return message;
            if (this.failed) throw this.failed;
            await new Promise((resolve) => { this.waiting.push(resolve); });
        }
    }

    /** The message's effects are safe: it may be committed. */
    done(message) {
        const p = this.inFlight.get(message);
        if (!p) return;
        this.inFlight.delete(message);
        p.inFlight.delete(message.offset);
        this.finished++;
    }

    /** Epoch of the baton under which a message that is not done was handed over: a fencing token for whatever it changes. */
    epoch(message) {
        return this.inFlight.get(message)?.epoch ?? 0;
    }

    /** Holds everything, waits until what is in flight is done, so many milliseconds at most, commits, leaves, serves no more. */
    async close(ms = 10000) {
        this.closing = true;
        await Promise.race([this.over, sleep(ms)]);
        await this.leave();
        this.server.close();
        this.server.closeAllConnections();
    }

    // --- the document ----------------------------------------------------------------------------------------------

    show() {
        const now = performance.now(), d = this.desired;
        return { lifecycle: 1, instance: this.instance, group: this.group, client_id: this.clientId,
            member_id: '', // the client does not tell it
            assignor: this.assignor, joined: this.joined,
            left: this.left, done: this.finished,
            desired: d && { agent: d.agent, revision: d.revision, term: d.term, epoch: d.epoch },
            observed: { revision: this.revision, partitions: [...this.partitions.values()].map((p) => p.show(now)) } };
    }

    /** Why it is refused, or null: it is noted (rule 1). */
    tell(d) {
        const old = this.desired;
        if (d.instance !== this.instance) return `this is instance ${this.instance}`;
        if (old && (d.revision < old.revision || (d.revision === old.revision && d.agent !== old.agent))) {
            return `revision ${old.revision} of agent ${old.agent} was accepted before`;
        }
        if (old && (d.term < old.term || (d.term === old.term && d.epoch < old.epoch))) {
            return `term ${old.term}, epoch ${old.epoch} was accepted before`;
        }
        d.told = new Map(d.partitions.map((w) => [keyOf(w), w]));
        if (!old || d.revision > old.revision) this.toldAt = performance.now();
        this.desired = d;
        return null;
    }

    /** Waits, but not long, until the loop has acted on this revision. */
    async turn(revision) {
        const by = performance.now() + TURN_MS_MAX;
        for (let left; this.revision < revision && (left = by - performance.now()) > 0;) {
            await Promise.race([sleep(left), new Promise((resolve) => { this.turning.push(resolve); })]);
        }
    }

    // --- the loop --------------------------------------------------------------------------------------------------

    async run() {
        await new Promise((resolve, reject) => { this.kafka.connect({}, (error) => (error ? reject(error) : resolve())); });
        this.kafka.subscribe(this.topics);
        while (!this.left) {
            await this.rebalancing;
            if (await this.act()) {
                await this.leave();
            } else if (this.fetched.length < FETCHED_MAX) {
                await this.consume();
            } else {
                await sleep(CONSUME_MS); // whoever takes none for max.poll.interval.ms is out of its group, as ever
            }
        }
    }

    async consume() {
        this.kafka.setDefaultConsumeTimeout(performance.now() - this.toldAt < SOON_MS ? CONSUME_SOON_MS : CONSUME_MS);
        const began = new Map([...this.running].map(([name, p]) => [name, { p, turn: p.turn }]));
        const messages = await new Promise((resolve, reject) => {
            this.kafka.consume(FETCHED_MAX, (error, all) => {
                if (!error) resolve(all);
                else if (error.code === CODES.ERRORS.ERR__AUTO_OFFSET_RESET || error.isFatal) reject(error);
                else resolve([]); // the client is getting over it
            });
        });
        for (const message of messages) {
            const of = began.get(nameOf(message));
            if (of) this.fetched.push({ message, ...of });
        }
        if (messages.length > 0) this.wake();
    }

    /** The gate: a record passes only if its partition runs, and in its order. */
    take() {
        while (this.fetched.length > 0) {
            const { message, p, turn } = this.fetched.shift();
            if (!p.attached || p.turn !== turn || message.offset < p.position) continue;
            p.first ??= message.offset;
            p.position = message.offset + 1;
            p.inFlight.add(message.offset);
            this.inFlight.set(message, p);
            return message;
        }
        return null;
    }

    wake() {
        for (const resolve of this.waiting.splice(0)) resolve();
    }

    /** Makes what is so what is desired, as far as it goes. True: leave the group. */
    async act() {
        const d = this.desired ?? UNTOLD, leave = this.closing || d.leave, now = performance.now();
        const ready = [], commit = [], stop = [], runs = [];
        for (const [key, p] of this.partitions) {
            if (!p.assigned) {
                if (!d.told.has(key)) this.partitions.delete(key); // rule 6: the agent has heard its last numbers
                continue;
            }
            const w = leave || p.leaving ? HOLD : d.told.get(key) ?? HOLD;
            const fenced = p.committedAt !== null && now - p.committedAt >= d.fence_ms;
            const mayRun = w.state === 'run' && p.epoch === w.epoch && p.epoch > 0 && (p.ready || p.ran);
            if (p.attached && (fenced || !mayRun)) stop.push(p);
            else if (!p.attached && mayRun && !fenced) runs.push(p);
            if (w.state !== 'ready' && !mayRun) {
                p.ready = false;
                if (!p.ran && p.committed !== p.position) p.position = p.committed = null; // a start that was not accepted
            }
            const begins = w.state === 'ready' && p.inFlight.size === 0 && !(p.ready && p.position === w.from &&
                p.committed === w.from && p.epoch === w.epoch && p.metadata === w.metadata);
            if (begins) {
                Object.assign(p, { epoch: w.epoch, metadata: w.metadata, position: w.from, first: null, committed: null, ready: false, ran: false });
                ready.push(p);
            }
            const running = mayRun && !fenced;
            if (now >= p.retryAt && (begins || (mayRun && fenced) || // the sign of life that lets it go on
                (p.ran && (running ? now - p.committedAt >= d.commit_every_ms : p.committed !== p.low())))) commit.push(p);
        }
        this.detach(stop);
        this.attach(runs);
        await this.commit(commit);
        for (const p of ready) p.ready = p.assigned && p.committed === p.position;
        this.revision = Math.max(this.revision, d.revision);
        for (const resolve of this.turning.splice(0)) resolve();
        return leave && [...this.partitions.values()].every((p) => !p.assigned || p.quiet());
    }

    attach(ps) {
        for (const p of ps) {
            p.attached = p.ran = true;
            p.ready = false;
            p.turn++;
            this.running.set(nameOf(p), p);
        }
        if (ps.length > 0) this.kafka.incrementalAssign(ps.map(({ topic, partition, position }) => ({ topic, partition, offset: position })));
    }

    detach(ps) {
        this.stop(ps);
        if (ps.length > 0) this.kafka.incrementalUnassign(ps.map(({ topic, partition }) => ({ topic, partition })));
    }

    /** Closes the gate. */
    stop(ps) {
        for (const p of ps) {
            p.attached = false;
            this.running.delete(nameOf(p));
        }
    }

    /**
     * Commits what is finished, with the mark; what Kafka does not accept is tried again by act(). The client calls back when it has
     * taken the order, not when Kafka has: so Kafka is asked, behind it on the same connection.
     */
    commit(ps) {
        if (ps.length === 0) return Promise.resolve();
        this.committing = this.committing.then(async () => {
            const asked = performance.now();
            const offsets = ps.map((p) => ({ topic: p.topic, partition: p.partition, offset: p.low(), metadata: p.metadata }));
            const said = await new Promise((resolve) => {
                try {
                    this.kafka.commitCb(offsets, (error) => {
                        if (error) resolve([]);
                        else this.kafka.committed(offsets, COMMITTED_MS, (failed, all) => { resolve(failed ? [] : all); });
                    });
                } catch {
                    resolve([]); // it is being closed
                }
            });
            ps.forEach((p, i) => {
                const got = said.find((s) => nameOf(s) === nameOf(p));
                if (got?.offset === offsets[i].offset && got.metadata === p.metadata) Object.assign(p, { committed: got.offset, committedAt: asked });
                else p.retryAt = asked + RETRY_MS;
            });
        });
        return this.committing;
    }

    // --- the group -------------------------------------------------------------------------------------------------

    onRebalance(error, partitions) {
        if (error.code === CODES.ERRORS.ERR__ASSIGN_PARTITIONS) {
            this.joined = true;
            this.assignment++;
            for (const { topic, partition } of partitions) {
                const p = new Partition(topic, partition, this.assignment);
                this.partitions.set(keyOf(p), p);
            }
            this.kafka.incrementalAssign([]); // they are ours, and held: librdkafka gets none
        } else {
            this.rebalancing = this.gone(partitions, error.code === CODES.ERRORS.ERR__REVOKE_PARTITIONS && !this.kafka.assignmentLost());
        }
    }

    /** Stop, finish what can be finished, commit, let go. */
    async gone(partitions, commit) {
        const names = new Set(partitions.map(nameOf)), by = performance.now() + REVOKE_MS;
        const gone = [...this.partitions.values()].filter((p) => p.assigned && names.has(nameOf(p)));
        const attached = gone.filter((p) => p.attached);
        this.stop(attached);
        for (const p of gone) p.leaving = true;
        if (commit) {
            while (gone.some((p) => p.inFlight.size > 0) && performance.now() < by) await sleep(5);
            await this.commit(gone.filter((p) => p.ran && p.committed !== p.low()));
        }
        this.kafka.incrementalUnassign(attached.map(({ topic, partition }) => ({ topic, partition })));
        for (const p of gone) {
            p.assigned = p.ready = false;
            if (p.position === null) this.partitions.delete(keyOf(p));
        }
    }

    leave() {
        this.leaving ??= new Promise((resolve) => { this.kafka.disconnect(resolve); }).then(() => {
            this.left = true;
            this.wake();
        });
        return this.leaving;
    }
}

/** What a PUT brings, or an exception. */
function understand(body) {
    const d = JSON.parse(body);
    const is = { string: (v) => typeof v === 'string', whole: Number.isSafeInteger, yes: (v) => typeof v === 'boolean', list: Array.isArray };
    const wanted = { instance: 'string', agent: 'string', revision: 'whole', term: 'whole', epoch: 'whole', commit_every_ms: 'whole',
        fence_ms: 'whole', leave: 'yes', partitions: 'list' };
    const check = (o, names) => {
        for (const [name, kind] of Object.entries(names)) {
            if (!is[kind](o?.[name])) throw new Error(`${name} is not understood`);
        }
    };
    check(d, wanted);
    for (const w of d.partitions) {
        check(w, { topic: 'string', partition: 'whole', assignment: 'whole', state: 'string' });
        if (!['hold', 'ready', 'run'].includes(w.state)) throw new Error('state is not understood');
        if (w.state !== 'hold') check(w, { epoch: 'whole', metadata: 'string', from: 'whole' });
    }
    return d;
}

function serve(consumer, { port, host, token, path }) {
    const digest = (text) => crypto.createHash('sha256').update(text).digest();
    const wanted = token === null ? null : digest(`Bearer ${token}`);
    const server = http.createServer(async (request, response) => {
        const answer = (status, body) => {
            const text = JSON.stringify(body);
            response.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) });
            response.end(text);
        };
        const parts = [];
        let size = 0;
        try {
            for await (const part of request) {
                if ((size += part.length) <= BODY_MAX) parts.push(part);
            }
        } catch {
            return; // it hung up
        }
        if (request.url !== path) return void answer(404, { error: `there is ${path}` });
        if (wanted && !crypto.timingSafeEqual(digest(request.headers.authorization ?? ''), wanted)) return void answer(401, { error: 'a token is wanted' });
        if (request.method === 'GET') return void answer(200, consumer.show());
        if (request.method !== 'PUT') return void answer(405, { error: 'there are GET and PUT' });
        if (size > BODY_MAX) return void answer(413, { error: 'too long' });
        try {
            const told = understand(Buffer.concat(parts).toString()), why = consumer.tell(told);
            if (!why) await consumer.turn(told.revision);
            return void answer(why ? 409 : 200, why ? { error: why } : consumer.show());
        } catch (error) {
            return void answer(400, { error: `no desired state: ${error.message}` });
        }
    });
    return server.listen(port, host);
}

module.exports = { Consumer };
